"""The vision encoder's two stages, one after the other: dense labels, naming."""

from pathlib import Path

import torch
from torch import Tensor

from nvlm.modeling.connector import Connector
from nvlm.recipes.nano.backbone_cards import write_encoder_card
from nvlm.recipes.nano.backbones import ENCODER, MADE, note_made, read_language, trained
from nvlm.recipes.nano.build import family_config, save
from nvlm.recipes.nano.naming import NamingReader, naming_batch, naming_scores
from nvlm.recipes.nano.stages import NanoRecipe
from nvlm.recipes.nano.vision import DenseReader, vision_batch, vision_scores
from nvlm.training.loop import train

PICTURES = "vision"
"""The stream of pictures that both stages go through, the second from where the first stopped."""


def make_encoder(recipe: NanoRecipe, folder: Path) -> None:
    """Train the encoder in a run's folder, which holds the language model; a finished one is left alone.

    Raises:
        nvlm.training.loop.Interrupted: the run was stopped, and saved.
    """
    target = folder / ENCODER
    if (target / MADE).exists():
        return
    reader, count = _see(recipe, folder), recipe.questions
    naming = _name(recipe, folder, reader)
    with torch.inference_mode():
        scores = vision_scores(reader, "test", count) | naming_scores(naming, "test", count)
    save(reader.vision_model, target)
    stages = [
        trained("vision encoder, dense labels", folder / "vision"),
        trained("naming: vision encoder, in the language model's embeddings", folder / "naming"),
    ]
    write_encoder_card(target, reader.vision_model.num_parameters(), stages, scores, count)
    note_made(target, recipe, stages)


def _see(recipe: NanoRecipe, folder: Path) -> DenseReader:
    torch.manual_seed(recipe.vision.seed)
    reader, stage = DenseReader(), recipe.vision
    train(
        stage,
        reader,
        lambda step: [vision_batch("train", PICTURES, step * stage.batch, stage.batch)],
        reader.loss,
        folder / "vision",
        resume=True,
        evaluate=lambda: vision_scores(reader),
        evaluate_every=200,
    )
    return reader


def _name(recipe: NanoRecipe, folder: Path, reader: DenseReader) -> NamingReader:
    language = read_language(folder)
    config = family_config("D", reader.vision_model, language)
    torch.manual_seed(recipe.naming.seed)
    stage, drawn = recipe.naming, recipe.vision.steps * recipe.vision.batch
    embeddings: Tensor = language.get_input_embeddings().weight  # type: ignore[assignment]
    naming = NamingReader(reader, Connector(config), embeddings, blank=config.image_token_id)
    train(
        stage,
        naming,
        lambda step: [naming_batch("train", PICTURES, drawn + step * stage.batch, stage.batch)],
        naming.loss,
        folder / "naming",
        resume=True,
        evaluate=lambda: naming_scores(naming),
        evaluate_every=100,
    )
    return naming
