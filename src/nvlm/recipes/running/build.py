"""A recipe's model before its first stage, and the processor of each stage."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from tokenizers import AddedToken
from torch import Tensor

from nvlm.data.picture_features import weights_hash
from nvlm.modeling.model import NVLMForConditionalGeneration
from nvlm.processing import NVLMImageProcessor, NVLMProcessor
from nvlm.recipes.recipe import ImageStage, Model, Recipe
from nvlm.recipes.running.backbones import Language, read_language, read_vision


@dataclass(frozen=True)
class Sources:
    """Where backbones lie, in place of what the recipe says: folders, shipped models, hub ids, GGUF files."""

    vision: str | None = None
    language: str | None = None


@dataclass(frozen=True)
class Built:
    """A recipe's model, what its processors are made of, and its encoder's hash, where it is known already."""

    model: NVLMForConditionalGeneration
    tokenizer: Any
    image_token: str
    mean: Sequence[float]
    std: Sequence[float]
    encoder: str = ""

    def encoder_hash(self) -> str:
        """What names the encoder in a key of features."""
        return self.encoder or weights_hash(self.model.vision_model)

    def processor(self, stage: ImageStage) -> NVLMProcessor:
        """The processor of a stage: its tiles and its tags."""
        config = self.model.config
        images = NVLMImageProcessor(config.tile_size, stage.max_tiles, mean=self.mean, std=self.std)
        longest = getattr(config.text_config, "max_position_embeddings", None) or self.tokenizer.model_max_length
        return NVLMProcessor(
            images,
            self.tokenizer,
            architecture=config.architecture,
            tokens_per_view=config.tokens_per_view,
            tag_format=stage.tags.format,
            thumbnail_tag=stage.tags.thumbnail,
            image_token=self.image_token,
            max_length=min(longest, self.tokenizer.model_max_length),
        )


def build(recipe: Recipe, sources: Sources) -> Built:
    """Read the backbones and put them together; new parts are the same wherever and whenever this is done.

    Raises:
        ValueError, FileNotFoundError: a backbone is not there, or has another shape than the recipe says.
    """
    vision = read_vision(recipe.model.vision, sources.vision)
    language = read_language(recipe.model.language, sources.language)
    image_token = add_tokens(recipe.model, language)
    torch.manual_seed(recipe.pretrain.seed)
    model = NVLMForConditionalGeneration.from_backbones(recipe.model.config(), vision.model, language.model)
    return Built(model, language.tokenizer, image_token, vision.mean, vision.std)


def add_tokens(model: Model, language: Language) -> str:
    """Give the vocabulary what the recipe needs of it; the token that fills slots.

    A new token begins as the mean of the pieces that its text had before: tags differ from the start, also while the
    language model is frozen.

    Raises:
        ValueError: no token has the recipe's ``image_token_id``.
    """
    tokenizer: Any = language.tokenizer
    known = tokenizer.get_vocab()
    fresh = [token for token in model.new_tokens if token not in known]
    pieces = [tokenizer(token, add_special_tokens=False).input_ids for token in fresh]
    _add(tokenizer, fresh)
    _embed(language, [tokenizer.convert_tokens_to_ids(token) for token in fresh], pieces)
    size = len(tokenizer)
    slot = tokenizer.convert_ids_to_tokens(model.image_token_id) if model.image_token_id < size else None
    if slot is None:
        raise ValueError(
            f"image_token_id is {model.image_token_id}, but the tokenizer has {size} tokens; is it the recipe's "
            "language model? --set model.image_token_id=N names another token"
        )
    if slot not in tokenizer.added_tokens_encoder:
        _add(tokenizer, [slot])
    return str(slot)


def _add(tokenizer: Any, tokens: list[str]) -> None:
    tokenizer.add_tokens([AddedToken(token, special=True, normalized=False) for token in tokens], special_tokens=True)


def _embed(language: Language, ids: list[int], pieces: list[list[int]]) -> None:
    """Rows for new tokens, in the table and in the head."""
    model: Any = language.model
    if not ids:
        return
    if (rows := max(ids) + 1) > model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(rows, mean_resizing=False)
    for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
        weight: Tensor = layer.weight.detach()
        for id, parts in zip(ids, pieces, strict=True):
            weight[id] = weight[parts].mean(0)
