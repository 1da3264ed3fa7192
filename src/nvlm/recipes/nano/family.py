"""`nvlm train nano`: backbones, features, then D, X or H through the paper's two stages. Everything resumes."""

import copy
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import InternVLVisionModel, PreTrainedModel, Qwen2ForCausalLM
from transformers.feature_extraction_utils import BatchFeature

from nvlm.data.features import FeatureStore
from nvlm.evaluation.nano_suite import run_suite
from nvlm.inference import ask_batch, load
from nvlm.modeling.config import NVLMConfig
from nvlm.modeling.model import NVLMForConditionalGeneration
from nvlm.recipes.nano import stages
from nvlm.recipes.nano.alignment import alignment_loss
from nvlm.recipes.nano.card import write_card
from nvlm.recipes.nano.language import TextBatches, build_language_model, build_processor, language_loss
from nvlm.recipes.nano.pictures import MixedBatches, encode_pictures, open_store
from nvlm.recipes.nano.sizes import CROSS_ATTENTION, DOWNSAMPLE
from nvlm.recipes.nano.vision import DenseReader, vision_batch, vision_scores
from nvlm.training.loop import train
from nvlm.training.stages import Stage


@dataclass(frozen=True)
class NanoRecipe:
    """Everything that decides what comes out.

    Attributes:
        vision, language: the backbones' own stages.
        align: the connector alone, before the paper's stages.
        pretrain, sft: the paper's two stages, the same for D, X and H.
        pictures: training pictures, encoded once by the frozen encoder and gone through as often as the steps ask.
        text_rows: text-only rows among the rows of an SFT batch.
        questions: held-out questions per task for the model card.
    """

    vision: Stage = stages.VISION
    language: Stage = stages.LANGUAGE
    align: Stage = stages.ALIGN
    pretrain: Stage = stages.PRETRAIN
    sft: Stage = stages.SFT
    pictures: int = 30_000
    text_rows: int = stages.TEXT_ROWS
    questions: int = 500


class NanoRun:
    """A folder in which the family is made.

    Args:
        recipe: what to do.
        folder: holds the backbones' stages, the features, one folder per architecture and the finished models.
        say: where a line of news goes.

    Raises:
        ValueError: the folder was begun with another recipe.
    """

    def __init__(self, recipe: NanoRecipe, folder: Path, say: Callable[[str], None] = print) -> None:
        self.recipe, self.folder, self._say = recipe, folder, say
        folder.mkdir(parents=True, exist_ok=True)
        _check_recipe(folder / "recipe.json", recipe)

    def make(self, architecture: str, *, resume: bool = False) -> Path:
        """Train one architecture, making what it needs first; the finished model's folder.

        Raises:
            FileExistsError: the architecture was begun here and ``resume`` is false.
            nvlm.training.loop.Interrupted: the run was stopped, and saved.
        """
        encoder = self.vision()
        language = self.language()
        store = self.features(encoder)
        model = build_model(architecture, encoder, language)
        self._train_stages(model, architecture, store, resume)
        return self._finish(model, architecture)

    def vision(self) -> PreTrainedModel:
        """The vision encoder after its own stage."""
        torch.manual_seed(self.recipe.vision.seed)
        reader, stage = DenseReader(), self.recipe.vision
        train(
            stage,
            reader,
            lambda step: [vision_batch("train", "vision", step * stage.batch, stage.batch)],
            reader.loss,
            self.folder / "vision",
            resume=True,
            evaluate=lambda: vision_scores(reader),
            evaluate_every=200,
        )
        return reader.vision_model

    def language(self) -> PreTrainedModel:
        """The language model after its own stage; also saved as ``nano-lm``, the baseline of every comparison."""
        torch.manual_seed(self.recipe.language.seed)
        model, processor = build_language_model(), build_processor("D")
        train(
            self.recipe.language,
            model,
            TextBatches(processor, self.recipe.language.batch),
            lambda batch: language_loss(model, batch),
            self.folder / "language",
            resume=True,
        )
        if not (self.folder / "nano-lm").exists():
            save(model, self.folder / "nano-lm", processor.tokenizer)
        return model

    def features(self, encoder: PreTrainedModel) -> FeatureStore:
        """Features of all training pictures."""
        store = open_store(self.folder / "features", encoder)
        encode_pictures(store, encoder, self.recipe.pictures, self._say)
        return store

    def _train_stages(
        self, model: NVLMForConditionalGeneration, architecture: str, store: FeatureStore, resume: bool
    ) -> None:
        processor = build_processor(architecture)
        for name, text in (("align", 0), ("pretrain", 0), ("sft", self.recipe.text_rows)):
            shared: Stage = getattr(self.recipe, name)
            stage = stages.for_architecture(shared, architecture, bool(model.config.places.in_memory))
            train(
                stage,
                model,
                MixedBatches(processor, store, stage.batch, text, shared.seed),
                stage_loss(model, stages.ALIGNMENT_WEIGHTS[name]),
                self.folder / architecture.lower() / name,
                resume=resume,
            )

    def _finish(self, model: NVLMForConditionalGeneration, architecture: str) -> Path:
        """Write the model, answer the held-out questions with what was written, write the card."""
        target = self.folder / f"nano-{architecture.lower()}"
        processor = build_processor(architecture)
        save(model, target, processor)
        written, processor = load(target)
        count = self.recipe.questions
        self._say(f"{target}: {count} held-out questions per task")
        scores = run_suite(lambda asked: ask_batch(written, processor, asked), "test", count, say=self._say)
        write_card(
            target,
            self.folder,
            architecture,
            parameters=written.num_parameters(),
            vocabulary=len(processor.tokenizer),
            scores=scores,
            count=count,
        )
        self._say(f"finished: {target}")
        return target


def stage_loss(model: NVLMForConditionalGeneration, alignment_weight: float | None) -> Callable[[BatchFeature], Tensor]:
    """The loss of a part: the next-token loss and its share of the alignment loss, or the latter alone (``None``)."""

    def loss(part: BatchFeature) -> Tensor:
        inputs = dict(part)
        shown, share = inputs.pop("shown_tokens", None), inputs.pop("share", 0.0)
        aligned = torch.zeros(())
        if shown is not None and alignment_weight != 0:
            embeddings: Tensor = model.get_input_embeddings().weight.detach()  # type: ignore[operator]
            projected = model.connector(inputs["image_features"])
            aligned = share * alignment_loss(projected, shown, embeddings, blank=model.config.image_token_id)
        if alignment_weight is None:
            return aligned
        next_token: Tensor = model(**inputs, use_cache=False).loss
        return torch.add(next_token, aligned, alpha=alignment_weight)

    return loss


def build_model(
    architecture: str, encoder: InternVLVisionModel | PreTrainedModel, language: Qwen2ForCausalLM | PreTrainedModel
) -> NVLMForConditionalGeneration:
    """One architecture on the two backbones, its new parts fresh and the same for the same seed."""
    processor = build_processor(architecture)
    config = NVLMConfig(
        vision_config=encoder.config.to_dict(),
        text_config=language.config.to_dict(),
        architecture=architecture,
        image_token_id=processor.image_token_id,
        downsample=DOWNSAMPLE,
        **CROSS_ATTENTION,
    )
    torch.manual_seed(0)
    return NVLMForConditionalGeneration.from_backbones(config, encoder, language)


def save(model: PreTrainedModel, folder: Path, *others: object) -> None:
    """Write a model (bf16 on disk) and what belongs to it into ``folder``, complete or not at all."""
    beside = folder.with_name(folder.name + ".part")
    shutil.rmtree(beside, ignore_errors=True)
    copy.deepcopy(model).to(torch.bfloat16).save_pretrained(beside)  # type: ignore[arg-type]
    for other in others:
        other.save_pretrained(beside)  # type: ignore[attr-defined]
    shutil.rmtree(folder, ignore_errors=True)
    beside.rename(folder)


def _check_recipe(path: Path, recipe: NanoRecipe) -> None:
    wanted = json.loads(json.dumps(asdict(recipe)))
    if not path.exists():
        path.write_text(json.dumps(wanted, indent=1), encoding="utf-8")
        return
    found = json.loads(path.read_text(encoding="utf-8"))
    odd = [name for name in wanted if wanted[name] != found.get(name)]
    if odd:
        raise ValueError(
            f"{path.parent} was begun with another recipe (they differ in {', '.join(odd)}); choose another folder"
        )
