"""What a stage reads: folders of shards or blends from the command line, and what a recipe brings itself."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from nvlm.data.blend import Blend, Folder
from nvlm.data.blend_file import SUFFIXES, read_blend
from nvlm.data.prompts import STAGES, Stage
from nvlm.recipes.smol.data import smol_blend

Brought = Callable[[Path, Stage, Blend | None], Blend]
"""Where its data may lie, the stage, and what the command line names → the blend of the stage."""

BROUGHT: Mapping[str, Brought] = {"smol": smol_blend}


def share_out(named: Sequence[str]) -> dict[Stage, list[str]]:
    """The paths of the command line by stage: ``sft=PATH`` is for one stage, ``PATH`` for all.

    >>> share_out(["pretrain=web", "sft=tasks.yaml", "mine"])
    {'pretrain': ['web', 'mine'], 'sft': ['tasks.yaml', 'mine']}
    """
    shares: dict[Stage, list[str]] = {stage: [] for stage in STAGES}
    for name in named:
        stage, equals, path = name.partition("=")
        only = equals and stage in STAGES
        for each in STAGES:
            if not only or each == stage:
                shares[each].append(path if only else name)
    return shares


def blend_of(recipe: str, stage: Stage, named: Sequence[str], folder: Path) -> Blend:
    """The blend of a stage.

    Args:
        recipe: its name: some bring data of their own.
        named: folders of shards and YAML files for this stage; several count the same.
        folder: of the run.

    Raises:
        ValueError: there is no data for the stage, or a file is no blend.
    """
    given = tuple(_part(path, stage) for path in named)
    blend = Blend(given) if given else None
    if recipe in BROUGHT:
        return BROUGHT[recipe](folder, stage, blend)
    if blend is None:
        raise ValueError(f"stage {stage} has no data; name folders of shards or a blend: --data {stage}=PATH")
    return blend


def _part(path: str, stage: Stage) -> Folder | Blend:
    return read_blend(Path(path), stage) if path.endswith(SUFFIXES) else Folder(path)
