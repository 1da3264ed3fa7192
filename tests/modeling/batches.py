"""Batches built by hand, as the contract between processor and model says, and tiny models to read them.

The layouts here are written independently of `nvlm.processing`, so a mistake there cannot hide a mistake in the model.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor
from transformers import (
    InternVLVisionConfig,
    LlamaConfig,
    MistralConfig,
    PreTrainedConfig,
    Qwen2Config,
    Qwen3Config,
)

from nvlm.modeling import ARCHITECTURES, NVLMConfig, NVLMForConditionalGeneration, Views

VOCAB = 96
PAD, SLOT, OPEN, CLOSE = 0, 1, [2, 3], [4]
TOKENS_PER_VIEW, TILE = 4, 16
TEXT = range(32, VOCAB)
EVERY_ARCHITECTURE = tuple(ARCHITECTURES)
FAMILIES = ("llama", "qwen2", "qwen3", "mistral", "yi")


def tag(index: int) -> list[int]:
    """Two tokens for `<tile_k>`, three for the thumbnail (index -1): tags need not have one length."""
    return [5, 10, 11] if index < 0 else [5, 12 + index]


@dataclass
class Picture:
    """An image of `tiles` tiles; one tile is one view, the thumbnail."""

    tiles: int

    def kinds(self) -> list[Views]:
        return [Views.THUMBNAIL] if self.tiles == 1 else [Views.TILES] * self.tiles + [Views.THUMBNAIL]


@dataclass
class Row:
    """One sample in tokens, with the view (index into the batch) or the images that each token may read."""

    tokens: list[int] = field(default_factory=list)
    reads: list[set[int]] = field(default_factory=list)
    in_sequence: list[int] = field(default_factory=list)
    in_memory: list[int] = field(default_factory=list)
    memory_tags: list[list[int]] = field(default_factory=list)

    def write(self, tokens: list[int], reads: set[int]) -> None:
        self.tokens += tokens
        self.reads += [set(reads)] * len(tokens)


def lay_out(parts: list[list[int] | Picture], architecture: str, first_view: int) -> tuple[Row, int]:
    """One row: text is a list of token ids."""
    places, row, view, earlier = ARCHITECTURES[architecture], Row(), first_view, set()
    for part in parts:
        if not isinstance(part, Picture):
            row.write(part, earlier)
            continue
        row.write(OPEN, earlier)
        block = set()
        for number, kind in enumerate(part.kinds()):
            name = tag(number if kind == Views.TILES else -1)
            in_memory = kind in places.in_memory
            if kind in places.tags_in_sequence:
                row.write(name, {view} if in_memory else earlier)
            if kind in places.in_sequence:
                row.in_sequence.append(view)
                row.write([SLOT] * TOKENS_PER_VIEW, earlier)
            if in_memory:
                row.in_memory.append(view)
                row.memory_tags.append([] if kind in places.tags_in_sequence else name)
                block.add(view)
            view += 1
        earlier = earlier | block
        row.write(CLOSE, earlier)
    return row, view


def padded(lists: list[list[int]], fill: int, left: bool = False) -> Tensor:
    width = max(len(values) for values in lists)
    pads = [[fill] * (width - len(values)) for values in lists]
    return torch.tensor([pad + values if left else values + pad for values, pad in zip(lists, pads, strict=True)])


def batch(architecture: str, *rows: list[list[int] | Picture], left: bool = True, seed: int = 0) -> dict[str, Tensor]:
    """The model's inputs for these rows, left-padded as for generation unless told otherwise."""
    laid_out, views = [], 0
    for parts in rows:
        row, views = lay_out(parts, architecture, views)
        laid_out.append(row)
    inputs = {
        "input_ids": padded([row.tokens for row in laid_out], PAD, left),
        "attention_mask": padded([[1] * len(row.tokens) for row in laid_out], 0, left),
    }
    if views:
        generator = torch.Generator().manual_seed(seed)
        inputs["pixel_values"] = torch.randn(views, 3, TILE, TILE, generator=generator)
    if any(row.in_sequence for row in laid_out):
        inputs["sequence_views"] = padded([row.in_sequence for row in laid_out], -1)
    if any(row.in_memory for row in laid_out):
        memory = padded([row.in_memory for row in laid_out], -1)
        inputs["memory_views"] = memory
        width = inputs["input_ids"].shape[1]
        mask = torch.zeros(len(rows), width, memory.shape[1], dtype=torch.bool)
        for b, row in enumerate(laid_out):
            start = width - len(row.tokens) if left else 0
            for s, reads in enumerate(row.reads):
                mask[b, start + s] = torch.tensor([int(view) in reads for view in memory[b]])
        inputs["cross_attention_mask"] = mask
        if any(name for row in laid_out for name in row.memory_tags):
            tags = max(len(name) for row in laid_out for name in row.memory_tags)
            ids = torch.full((*memory.shape, tags), -1)
            for b, row in enumerate(laid_out):
                for m, name in enumerate(row.memory_tags):
                    ids[b, m, : len(name)] = torch.tensor(name)
            inputs["memory_tag_ids"] = ids
    return inputs


def text(length: int, seed: int = 0) -> list[int]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(TEXT.start, TEXT.stop, (length,), generator=generator).tolist()


def with_labels(inputs: dict[str, Tensor], tokens: int) -> dict[str, Tensor]:
    """Supervise the last `tokens` of every row (left padding)."""
    labels = torch.full_like(inputs["input_ids"], -100)
    labels[:, -tokens:] = inputs["input_ids"][:, -tokens:]
    return inputs | {"labels": labels}


def text_config(family: str = "qwen2", **changes: object) -> PreTrainedConfig:
    """A four-layer language model of each family, with weights large enough that answers differ."""
    sizes = dict(
        vocab_size=VOCAB,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        initializer_range=0.15,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=PAD,
    )
    classes = {"llama": LlamaConfig, "qwen2": Qwen2Config, "qwen3": Qwen3Config, "mistral": MistralConfig}
    if family == "qwen3":
        sizes["head_dim"] = 12
    if family == "yi":  # Yi is the Llama class: other rotary base, eight query heads per key/value group
        rope = dict(rope_theta=5e6, rope_type="default")
        sizes |= dict(num_attention_heads=8, num_key_value_heads=1, rope_parameters=rope)
        family = "llama"
    return classes[family](**(sizes | changes))


def vision_config(**changes: object) -> InternVLVisionConfig:
    """Two layers, a grid of 4 x 4 patches."""
    sizes = dict(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        image_size=TILE,
        patch_size=4,
        initializer_range=0.15,
        layer_scale_init_value=1.0,
    )
    return InternVLVisionConfig(**(sizes | changes))


def config(architecture: str, family: str = "qwen2", **changes: object) -> NVLMConfig:
    """A tiny family member whose gates are open, so that what it reads matters."""
    values = dict(
        architecture=architecture,
        vision_config=vision_config(),
        text_config=text_config(family),
        image_token_id=SLOT,
        cross_attention_every=2,
        cross_attention_gate_init=0.7,
    )
    return NVLMConfig(**(values | changes))


def model(architecture: str, family: str = "qwen2", **changes: object) -> NVLMForConditionalGeneration:
    """A seeded tiny model in eval mode."""
    torch.manual_seed(0)
    return NVLMForConditionalGeneration(config(architecture, family, **changes)).eval()
