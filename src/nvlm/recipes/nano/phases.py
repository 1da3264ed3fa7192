"""The stages on the backbones that a variant goes through, each with its batches and its loss."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from transformers.feature_extraction_utils import BatchFeature

from nvlm.modeling.model import NVLMForConditionalGeneration
from nvlm.processing import NVLMProcessor
from nvlm.recipes.nano import stages
from nvlm.recipes.nano.alignment import alignment_loss
from nvlm.recipes.nano.batches import MixedBatches
from nvlm.recipes.nano.pictures import Pictures
from nvlm.recipes.nano.stages import NanoRecipe
from nvlm.recipes.nano.variant import Variant
from nvlm.training.stages import Stage


@dataclass(frozen=True)
class Phase:
    """One stage of a variant, ready for ``train``: the stage, its batches by step, and the loss of a part."""

    name: str
    stage: Stage
    batches: Callable[[int], Sequence[BatchFeature]]
    loss: Callable[[BatchFeature], Tensor]


def phases(
    recipe: NanoRecipe,
    variant: Variant,
    model: NVLMForConditionalGeneration,
    processor: NVLMProcessor,
    pictures: Pictures,
    names: Sequence[str] = stages.STAGES,
) -> list[Phase]:
    """The stages on the backbones that a variant goes through, in order.

    Args:
        names: those to take; without pretraining the parts of SFT among them.
    """
    found = []
    for name in names:
        if not variant.pretraining and name not in stages.FINE_TUNING:
            continue
        shared: Stage = getattr(recipe, name)
        stage = stages.for_architecture(shared, variant.architecture, bool(model.config.places.in_memory))
        text = recipe.text_rows if name in stages.FINE_TUNING else 0
        if not variant.text:
            stage, text = replace(stage, batch=stage.batch - text), 0
        if not variant.train_language:
            stage = replace(stage, trainable=tuple(each for each in stage.trainable if each != stages.LANGUAGE_MODEL))
        stage = replace(stage, seed=shared.seed + variant.seed)
        weight = stages.ALIGNMENT_WEIGHTS[name]
        batches = MixedBatches(
            processor,
            pictures,
            stage.batch,
            text,
            stage.seed,
            aligned=weight != 0,
            explain=name in stages.EXPLAINED,
            tasks=stages.FINE_TUNING.get(name, {}),
        )
        found.append(Phase(name, stage, batches, stage_loss(model, weight)))
    return found


def stage_loss(model: NVLMForConditionalGeneration, alignment_weight: float | None) -> Callable[[BatchFeature], Tensor]:
    """The loss of a part: the next-token loss and its share of the alignment loss, or the latter alone (``None``)."""

    def loss(part: BatchFeature) -> Tensor:
        inputs = dict(part)
        inputs.pop("accounting", None)  # stands in a part that has not gone through the engine
        shown, share = inputs.pop("shown_tokens", None), inputs.pop("share", 0.0)
        aligned = torch.zeros(())
        if shown is not None:
            embeddings: Tensor = model.get_input_embeddings().weight.detach()  # type: ignore[operator]
            projected = model.connector(inputs["image_features"])
            blank = model.config.image_token_id
            aligned = share * alignment_loss(projected, shown, embeddings, blank, stages.PLACE)
        if alignment_weight is None:
            return aligned
        next_token: Tensor = model(**inputs, use_cache=False).loss
        return torch.add(next_token, aligned, alpha=alignment_weight)

    return loss
