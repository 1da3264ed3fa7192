"""Small tokenizers made on the spot, so that the tests need no network.

``qwen_like`` is a byte-level BPE with Qwen2's split pattern and ChatML's special tokens. Its training text is chosen so
that ``<Image`` and ``><`` become single tokens, as they do in Qwen2's vocabulary: that is what makes inline tags
interesting.
"""

from functools import cache

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CHATML_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>")
CORPUS = [
    "<Image><tile_1><tile_2></Image>",
    "<tile_global_thumbnail></Image>\nWhat is this?",
    "system user assistant box",
    "Describe the picture. A red square. What is the total? It is 12.",
] * 8

LLAMA_TEMPLATE = """\
{{- bos_token }}
{%- for message in messages %}
    {{- '<|start|>' + message['role'] + '<|sep|>\\n\\n' + message['content'] | trim + '<|eot|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start|>assistant<|sep|>\\n\\n' }}
{%- endif %}
"""


def _byte_level_bpe() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(QWEN_SPLIT), behavior="isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def _special(tokens: tuple[str, ...]) -> list[AddedToken]:
    return [AddedToken(token, special=True, normalized=False) for token in tokens]


@cache
def _qwen_json() -> str:
    tokenizer = _byte_level_bpe()
    tokenizer.add_special_tokens(_special(CHATML_TOKENS))
    return str(tokenizer.to_str())


def qwen_like(model_max_length: int = 4096) -> PreTrainedTokenizerFast:
    """A ChatML tokenizer as Qwen2's: no BOS, ``<|im_end|>`` ends a turn."""
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(_qwen_json()),
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=list(CHATML_TOKENS[1:]),
        model_max_length=model_max_length,
    )


def llama_like(model_max_length: int = 4096) -> PreTrainedTokenizerFast:
    """A tokenizer with a BOS, a chat template of its own (that trims, as Llama 3's) and no ChatML tokens."""
    tokenizer = _byte_level_bpe()
    tokens = ("<|begin|>", "<|start|>", "<|sep|>", "<|eot|>", "<|vision_pad|>")
    tokenizer.add_special_tokens(_special(tokens))
    begin = tokenizer.token_to_id("<|begin|>")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|begin|> $A", pair="<|begin|> $A $B", special_tokens=[("<|begin|>", begin)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|begin|>",
        eos_token="<|eot|>",
        pad_token="<|eot|>",
        additional_special_tokens=list(tokens[1:]),
        chat_template=LLAMA_TEMPLATE,
        model_max_length=model_max_length,
    )
