"""A few hundred tokens that behave as Qwen2's 151,646 do: a byte-level BPE made from a list of pieces.

Nothing is trained or fetched. The pieces are chosen so that what matters about Qwen2's tokenizer happens here too:
`<Image`, `><` and `>\\n` are tokens, so that tags written inline merge with what stands beside them.
"""

import json
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

__all__ = ["SPECIAL_TOKENS", "build_tokenizer", "write_tokenizer"]

SPECIAL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>")
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How Qwen2 cuts a text before it merges."""

SPACE, NEWLINE = "Ġ", "Ċ"
"""How a byte-level vocabulary writes the two."""

PIECES = f"""
    {SPACE}the {SPACE}is {SPACE}in {SPACE}of {SPACE}are {SPACE}a {SPACE}picture {SPACE}image {SPACE}text {SPACE}total
    {SPACE}many {SPACE}and {SPACE}you {SPACE}this {SPACE}helpful {SPACE}question {SPACE}answer {SPACE}red {SPACE}box
    <Image <image ></ >< >{NEWLINE} </ {NEWLINE}{NEWLINE} tile _global _thumbnail Image system user assistant
    What Describe Read How Which The You are ing is it the
""".split()
"""Tokens of several characters; each is built letter by letter, so its beginnings are tokens as well."""

TEMPLATE = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""Qwen2-Instruct's: with a system turn that nobody wrote, and that NVLM's own chat leaves out."""


def build_tokenizer() -> Tokenizer:
    """The tokenizer, with the special tokens of `SPECIAL_TOKENS` as its last ids, in that order."""
    tokenizer = Tokenizer(models.BPE(vocab=_vocabulary(), merges=_merges()))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    return tokenizer


def write_tokenizer(folder: Path, model_max_length: int) -> None:
    """Write the files that Qwen2's tokenizer consists of."""
    tokenizer = build_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    _write_json(folder / "vocab.json", _vocabulary())
    merges = "\n".join(" ".join(pair) for pair in _merges())
    (folder / "merges.txt").write_text(f"#version: 0.2\n{merges}\n", encoding="utf-8")
    added = {str(tokenizer.token_to_id(token)): _added(token) for token in SPECIAL_TOKENS}
    settings = {
        "add_prefix_space": False,
        "added_tokens_decoder": added,
        "additional_special_tokens": list(SPECIAL_TOKENS[1:]),
        "bos_token": None,
        "chat_template": TEMPLATE,
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>",
        "errors": "replace",
        "model_max_length": model_max_length,
        "pad_token": "<|endoftext|>",
        "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }
    _write_json(folder / "tokenizer_config.json", settings)


def _merges() -> list[tuple[str, str]]:
    """Each piece from left to right, letter by letter."""
    pairs = ((piece[:end], piece[end]) for piece in PIECES for end in range(1, len(piece)))
    return list(dict.fromkeys(pairs))


def _vocabulary() -> dict[str, int]:
    """The 256 bytes, then what each merge makes."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = dict.fromkeys([*letters, *(left + right for left, right in _merges())])
    return {token: number for number, token in enumerate(tokens)}


def _added(token: str) -> dict[str, Any]:
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    return {"content": token, **flags}


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
