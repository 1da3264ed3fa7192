"""The nano family's tokenizer: a closed vocabulary written down, nothing trained.

One token per vocabulary word, per digit or pair of digits, per letter and per tag; anything else falls back to letters
or bytes, so every text can be written and read back, but for a space at the start of a line or after a tag (it is taken
for granted there) and the mark ▁ (it reads as a space). A word is the same token wherever it stands, a leading space
belongs to it: copying a word, or a number below 100, is one step for a small model.
"""

import re

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from nvlm.data.synthetic.words import kinds

SPACE = "\u2581"
END_OF_TEXT, TURN_START, TURN_END, SLOT = "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_pad|>"
TEMPLATE_WORDS = """
    a above after all among an and answer apart are area at bar bars bad below beside between box boxes brief bottom
    bread briefly bring but by can cannot caption cash chart colour colours column copy cost costs count day date
    describe diagram difference dot dots each edge eight empty equal far few first five flow follows for four from
    good great group has have he hello highest horizontal how hundred i image in inside is it item items label labels
    large larger largest last least left leads less letter letters line lines list long look lot lower lowest made make
    many me middle minus more most much my name names near next nine no none not nothing number numbers object objects
    of on one only or order other ordered outside over paid part pay picture please plot plus point points price prices
    question rank read receipt repeat reverse right row rows same says second see seven several shape shapes shop show
    shown shows side six size small smaller smallest so some sort starts street sum system table tall tax ten text than
    thank thanks that the their them then there these they thing third this those three through time title to together
    top total transcribe two under unit up upper us user value values vertical visible was we were what where which
    while white who whole will with word words write written year yes you your zero assistant
    Answer Caption Cash Chart Change Copy Cost Count Date Day Describe Follow Has How In Is It Item Items Month Name
    No Number Picture Please Point Price Question Rank Read Receipt Repeat Reverse Shop Show Sort Sum Tax Thank The
    There This Total Transcribe Value What Where Which Who Word Write Year Yes You TOTAL DATE
    does say comes When bought circles squares triangles stars crosses diamonds rings hearts
"""


def build_tokenizer() -> PreTrainedTokenizerFast:
    """The tokenizer of the nano language model, with ChatML's turn tokens and ``<|vision_pad|>`` as image slot.

    Tile tags (``<tile_1>`` … ``<tile_12>``, the thumbnail's two spellings, ``<Image>``, ``</Image>``) and the newline
    are single tokens; they are ordinary, not special, tokens.
    """
    tokenizer = Tokenizer(models.Unigram(_pieces(), unk_id=0, byte_fallback=True))
    word = rf"{SPACE}?\p{{L}}+|{SPACE}?\p{{N}}{{1,2}}|{SPACE}?[^\p{{L}}\p{{N}}{SPACE}]|{SPACE}"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="always", split=False),
            pre_tokenizers.Split(Regex(word), "isolated"),
        ]
    )
    added = [TURN_START, TURN_END, SLOT, "<Image>", "</Image>", "\n", *tile_tags()]
    after_added = [decoders.Replace(f"{token} ", token) for token in added]
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace(SPACE, " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            *after_added,
            decoders.Strip(" ", 1, 0),
        ]
    )
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in (END_OF_TEXT, *added[:3])]
    )
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in added[3:]])
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, eos_token=TURN_END, pad_token=END_OF_TEXT, clean_up_tokenization_spaces=False
    )


def tile_tags() -> list[str]:
    """The tokens that are tile tags, the thumbnail's two spellings included."""
    return [f"<tile_{number}>" for number in range(1, 13)] + ["<tile_global_thumbnail>", "<tile_global>"]


def _pieces() -> list[tuple[str, float]]:
    """Whole words score far above letters, so a word that can be one token is one."""
    listed = [word for words in kinds().values() for word in words]
    words = dict.fromkeys(listed + TEMPLATE_WORDS.split())
    printable = [chr(code) for code in range(33, 127)]
    pieces = [(END_OF_TEXT, 0.0)]
    pieces += [(f"<0x{byte:02X}>", -30.0) for byte in range(256)]
    pieces += [(SPACE, -10.0)]
    pieces += [(mark, -10.0) for mark in printable]
    pieces += [(SPACE + mark, -10.0) for mark in printable if not re.fullmatch(r"[A-Za-z]", mark)]
    pieces += [(start + pair, -1.0) for start in (SPACE, "") for pair in digit_pairs()]
    return (
        pieces + [(SPACE + word, -1.0) for word in words if len(word) > 1] + [(SPACE + "a", -1.0), (SPACE + "i", -1.0)]
    )


def digit_pairs() -> list[str]:
    """``00`` to ``99``: a number is cut into pairs from its first digit on."""
    return [f"{number:02}" for number in range(100)]


def number_pieces(word: str) -> list[str | None]:
    """For every character of a word, the token of the digits that it belongs to; ``None`` for other characters."""
    pieces: list[str | None] = [None] * len(word)
    for found in re.finditer(r"[0-9]{1,2}", word):
        for place in range(*found.span()):
            pieces[place] = (SPACE if found.start() == 0 else "") + found.group()
    return pieces
