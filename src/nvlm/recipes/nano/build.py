"""A variant's model and processor on the two backbones, and how models are written."""

import copy
import shutil
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import InternVLVisionModel, PreTrainedModel, Qwen2ForCausalLM

from nvlm.data.synthetic.tokenizer import build_tokenizer, tile_tags
from nvlm.inference.load import quiet
from nvlm.modeling.config import NVLMConfig
from nvlm.modeling.model import NVLMForConditionalGeneration
from nvlm.processing import NVLMProcessor
from nvlm.recipes.nano.heads import start_reading
from nvlm.recipes.nano.language import build_processor
from nvlm.recipes.nano.sizes import CROSS_ATTENTION, DOWNSAMPLE, MAX_TILES, PROJECTOR_LAYERS
from nvlm.recipes.nano.variant import Variant


def build_variant(
    variant: Variant,
    encoder: InternVLVisionModel | PreTrainedModel,
    language: Qwen2ForCausalLM | PreTrainedModel,
) -> tuple[NVLMForConditionalGeneration, NVLMProcessor]:
    """A variant's model before its first stage, and its processor. The language model is taken over and trained."""
    max_tiles = 1 if variant.thumbnail_only else MAX_TILES
    model = build_model(
        variant.architecture,
        encoder,
        language,
        seed=variant.seed,
        cross_attention_every=variant.cross_attention_every,
        cross_attention_feed_forward=variant.feed_forward,
    )
    return model, build_processor(variant.architecture, variant.tags, max_tiles)


def build_model(
    architecture: str,
    encoder: InternVLVisionModel | PreTrainedModel,
    language: Qwen2ForCausalLM | PreTrainedModel,
    seed: int = 0,
    **values: Any,
) -> NVLMForConditionalGeneration:
    """One architecture on the two backbones, its new parts fresh and the same for the same seed.

    Args:
        values: of `NVLMConfig`, in place of the family's.
    """
    config = family_config(architecture, encoder, language, **values)
    torch.manual_seed(seed)
    model = NVLMForConditionalGeneration.from_backbones(config, encoder, language)
    start_reading(model)
    start_tags(model, seed)
    return model


@torch.no_grad()
def start_tags(model: NVLMForConditionalGeneration, seed: int) -> None:
    """Let tile tags begin as different as words are, in place.

    Text-only training never meets them, and only pushes them all one way: 2.5 times as large as words, and alike.
    """
    known = build_tokenizer().get_vocab()
    tags = [known[tag] for tag in tile_tags()]
    table: Tensor = model.get_input_embeddings().weight  # type: ignore[assignment]
    usual = table.norm(dim=-1).median()
    fresh = torch.randn(len(tags), table.shape[1], generator=torch.Generator().manual_seed(seed))
    table[tags] = usual * F.normalize(fresh, dim=-1)


def family_config(architecture: str, encoder: PreTrainedModel, language: PreTrainedModel, **values: Any) -> NVLMConfig:
    """The configuration of one architecture on the two backbones.

    Args:
        values: in place of the family's.
    """
    return NVLMConfig(
        vision_config=encoder.config,
        text_config=language.config,
        architecture=architecture,
        image_token_id=build_processor(architecture).image_token_id,
        downsample=DOWNSAMPLE,
        projector_layers=PROJECTOR_LAYERS,
        **CROSS_ATTENTION | values,
    )


def save(model: PreTrainedModel, folder: Path, *others: object) -> None:
    """Write a model (bf16 on disk) and what belongs to it into ``folder``, complete or not at all."""
    beside = folder.with_name(folder.name + ".part")
    shutil.rmtree(beside, ignore_errors=True)
    with quiet(True):
        copy.deepcopy(model).to(torch.bfloat16).save_pretrained(beside)  # type: ignore[arg-type]
    for other in others:
        other.save_pretrained(beside)  # type: ignore[attr-defined]
    shutil.rmtree(folder, ignore_errors=True)
    beside.rename(folder)
