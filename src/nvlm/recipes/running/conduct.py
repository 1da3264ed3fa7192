"""A recipe from its first stage to the finished model, on one process or on all that torchrun started."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from nvlm.data.blend import Blend, check_folders
from nvlm.data.picture_features import PictureFeatures
from nvlm.data.prompts import Stage as StageName
from nvlm.inference.load import find_device, quiet
from nvlm.planning.sharding import Layout
from nvlm.processing import NVLMImageProcessor
from nvlm.recipes.features import Frozen, store_features, stored_features
from nvlm.recipes.recipe import ImageStage, Recipe
from nvlm.recipes.running.backbones import GGUF, read_language
from nvlm.recipes.running.blends import blend_of
from nvlm.recipes.running.build import Built, Sources, build
from nvlm.recipes.running.feeding import Feeding, feed, loading_of
from nvlm.recipes.running.finish import write_model
from nvlm.recipes.running.flops import step_flops
from nvlm.recipes.running.folder import BAD_SAMPLES, FEATURES, LANGUAGE, RunFolder, say_once
from nvlm.recipes.running.start import read_start
from nvlm.training.engine import Engine
from nvlm.training.loop import train
from nvlm.training.ranks import Ranks, processes


@dataclass(frozen=True)
class Machine:
    """How a run uses the machine; none of it changes what is learned by more than rounding.

    Attributes:
        layout: how the processes share the model; None makes each a replica.
        precision: "float32", or "bfloat16" for forward and backward passes.
        workers: threads of a process that read ahead.
        save_every: seconds between checkpoints.
        keep: checkpoints that stay.
        save_behind: training goes on while a checkpoint is written.
        max_bad_share: of a source's samples may be broken before training stops.
        peak: FLOP/s of one GPU, for the share of it that the log names; 0 leaves that out.
        tensorboard: also write what TensorBoard reads.
    """

    layout: Layout | None = None
    precision: str = "float32"
    workers: int = 2
    save_every: float = 300.0
    keep: int = 2
    save_behind: bool = False
    max_bad_share: float = 0.01
    peak: float = 0.0
    tensorboard: bool = False


@dataclass(frozen=True)
class Inputs:
    """What a run is made from, beside its recipe.

    Attributes:
        sources: of the backbones.
        data: for each stage, folders of shards and files with blends.
        features: where stored features are, or go; by default in the run's folder.
    """

    sources: Sources
    data: dict[StageName, list[str]]
    features: Path | None = None


def conduct(
    recipe: Recipe,
    inputs: Inputs,
    path: Path,
    stages: Sequence[str] = ("pretrain", "sft"),
    machine: Machine = Machine(),
    *,
    resume: bool = False,
) -> Path | None:
    """Train the stages that are asked for, and write the model when the last of the recipe is done.

    Args:
        path: of the run's folder: ``pretrain``, ``sft`` and in the end ``model``.
        stages: names of stages. Each begins with what the ones before have learned; those that are done are left alone.
        resume: go on with a stage that was begun.

    Returns:
        The model's folder, or None while stages are missing.

    Raises:
        nvlm.training.loop.Interrupted: the run was stopped, and saved.
        FileExistsError: a stage was begun and ``resume`` is false.
        ValueError, FileNotFoundError: recipe, backbones, data, folder and processes do not go together.
    """
    folder = RunFolder(path, recipe)
    with processes():
        ranks = Ranks(machine.layout)
        run = _Run(folder, inputs, machine, ranks)
        wanted = [stage for stage in recipe.stages if stage.name in stages and not run.done(stage)]
        if wanted:  # what is missing is said before anything takes long
            folder.check_before(wanted[0])
        blends = [run.blend(stage) for stage in wanted]
        run.read_sources()
        for stage, blend in zip(wanted, blends, strict=True):
            run.train(stage, blend, resume)
        first = ranks.first
    last = recipe.stages[-1]
    if last.name not in stages:
        return None
    if first and not folder.model.exists():
        write_model(folder, build(recipe, run.sources))
    return folder.model


class _Run:
    """One process's part of a run."""

    def __init__(self, folder: RunFolder, inputs: Inputs, machine: Machine, ranks: Ranks) -> None:
        self.folder, self.inputs, self.machine, self.ranks = folder, inputs, machine, ranks
        if ranks.first:
            folder.begin()
        ranks.wait()
        self.sources = inputs.sources

    def done(self, stage: ImageStage) -> bool:
        """Whether a stage is complete."""
        folder, ranks = self.folder, self.ranks
        done = bool(ranks.same(folder.finished(stage) if ranks.first else None))
        if done:
            say_once(ranks.first, f"{stage.name} is complete: {stage.steps:,} steps in {folder.stage(stage)}")
        return done

    def blend(self, stage: ImageStage) -> Blend:
        """What a stage reads, all of it there; what the recipe brings itself is made."""
        check_lanes(stage, self.ranks.layout)
        name: Any = stage.name
        if self.ranks.first:
            self._blend(name)
        self.ranks.wait()
        blend = self._blend(name)
        check_folders(blend)
        return blend

    def train(self, stage: ImageStage, blend: Blend, resume: bool) -> None:
        """One stage."""
        folder, ranks = self.folder, self.ranks
        built = self._built()
        for earlier in folder.before(stage):
            folder.load(earlier, built.model)
        feeding = self._feed(stage, blend, built)
        say_once(ranks.first, f"{stage.name}: {feeding}")
        train(
            stage,
            built.model.to(find_device()),  # type: ignore[arg-type]
            feeding.batches,
            None,
            folder.stage(stage),
            engine=self._engine(stage, built, feeding),
            resume=resume,
            save_every=self.machine.save_every,
            about={"recipe": asdict(folder.recipe), "sources": asdict(self.sources), "data": feeding.about},
        )

    def _built(self) -> Built:
        """The model before its first stage; where the layout cuts it, every process reads its part."""
        recipe, layout = self.folder.recipe, self.ranks.layout
        if layout.fsdp * layout.tensor == 1:
            return build(recipe, self.sources)
        return read_start(self.folder.path, recipe, self.sources, self.ranks, self.machine.precision)

    def _feed(self, stage: ImageStage, blend: Blend, built: Built) -> Feeding:
        processor = built.processor(stage)
        features = None
        if stage.stored_features or self.inputs.features is not None:
            place = self.inputs.features or self.folder.path / FEATURES
            features = self._features(built, processor.image_processor, blend, place)
        bad_samples = self.folder.stage(stage) / BAD_SAMPLES if self.ranks.counts else None
        loading = replace(loading_of(stage), workers=self.machine.workers, max_bad_share=self.machine.max_bad_share)
        return feed(stage, blend, processor, loading, features=features, bad_samples=bad_samples)

    def _features(self, built: Built, images: NVLMImageProcessor, blend: Blend, place: Path) -> PictureFeatures:
        """The features of a blend's pictures; one process encodes those that are missing, several do not."""
        frozen = Frozen(built.model.vision_model, built.encoder_hash(), built.model.config.vision_feature_layer)
        folders = list(dict.fromkeys(part.local for part in blend.folders() if part.local is not None))
        if self.ranks.size == 1 and folders:
            store_features(frozen, images, folders, place, partial(say_once, True))
        return stored_features(frozen, images, place)

    def _blend(self, name: StageName) -> Blend:
        return blend_of(self.folder.recipe.name, name, self.inputs.data[name], self.folder.path)

    def _engine(self, stage: ImageStage, built: Built, feeding: Feeding) -> Engine:
        machine = self.machine
        flops = step_flops(self.folder.recipe, stage, built.model.config, feeding.mean) if machine.peak else None
        return Engine(
            layout=machine.layout,
            precision=machine.precision,
            accumulate=feeding.accumulate,
            kept=machine.keep,
            background=machine.save_behind,
            flops=flops,
            peak=machine.peak * self.ranks.size,
            tensorboard=machine.tensorboard,
        )

    def read_sources(self) -> None:
        """Make a language model from a GGUF file a folder: it is read for every stage."""
        backbone, given = self.folder.recipe.model.language, self.inputs.sources
        if not (given.language or backbone.weights).endswith(GGUF):
            return
        place = self.folder.path / LANGUAGE
        if self.ranks.first and not place.exists():
            language = read_language(backbone, given.language)
            beside = place.with_suffix(".part")
            with quiet(True):
                language.model.save_pretrained(beside)
            language.tokenizer.save_pretrained(beside)
            beside.rename(place)
        self.ranks.wait()
        self.sources = Sources(given.vision, str(place))


def check_lanes(stage: ImageStage, layout: Layout) -> None:
    """Make sure that the ranks can share the lanes of a stage evenly; the engine would say so after the model is read.

    Raises:
        ValueError: they cannot.
    """
    if stage.lanes % layout.ranks:
        raise ValueError(
            f"stage {stage.name} has {stage.lanes} lanes, which {layout.ranks} data-parallel ranks cannot share: "
            f"run a number of ranks that divides {stage.lanes}, or begin with --set {stage.name}.lanes={layout.ranks}"
        )
