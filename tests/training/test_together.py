"""Several processes train as one does: the same losses and weights, whatever each of them sees."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nvlm.modeling import ARCHITECTURES
from nvlm.planning.sharding import Layout
from tests.training import lanes
from tests.training.together import together

# Sums in another order, in double precision; the losses themselves are summed in single precision.
TOLERANCE = 1e-6
FSDP, FROZEN = Layout(fsdp=2), replace(lanes.STAGE, trainable=("connector.*",))


def compare(folder: Path, count: int, cases: dict[str, dict[str, Any]]) -> None:
    """Every case in ``count`` processes and in one."""
    alone = {name: {key: value for key, value in case.items() if key != "layout"} for name, case in cases.items()}
    several = together(count, each_of, folder, folder / "several", cases)
    one = together(1, each_of, folder, folder / "one", alone)[0]
    for name in cases:
        expected = lanes.losses(folder / "one" / name)
        assert len(expected) == lanes.STAGE.steps
        assert lanes.losses(folder / "several" / name) == pytest.approx(expected, rel=0, abs=TOLERANCE), name
        assert lanes.told(folder / "several" / name) == pytest.approx(lanes.told(folder / "one" / name), rel=1e-5), name
        for found in several:
            assert found[name] == pytest.approx(one[name], rel=0, abs=TOLERANCE), name


def each_of(folder: Path, cases: dict[str, dict[str, Any]]) -> dict[str, dict[str, float]]:
    return {name: lanes.run(folder / name, **case) for name, case in cases.items()}


def test_ranks_with_text_only_or_pictures_only_or_both_run_the_same_collectives(tmp_path):
    compare(tmp_path, 2, {each: {"architecture": each, "layout": FSDP} for each in ARCHITECTURES})


def test_stored_features_and_pictures_of_one_tile_leave_nobody_waiting(tmp_path):
    cases = {
        f"{each} {number}": {"architecture": each, "layout": FSDP, "kinds": kinds}
        for each in "DH"
        for number, kinds in enumerate((lanes.STORED, lanes.SMALL))
    }
    compare(tmp_path, 2, cases)


def test_frozen_language_models_and_recomputed_activations_change_nothing(tmp_path):
    cases = {
        "frozen": {"architecture": "D", "layout": FSDP, "stage": FROZEN},
        "recomputed": {"architecture": "H", "layout": replace(FSDP, recompute=True)},
        "accumulated": {"architecture": "X", "layout": FSDP, "accumulate": 2},
        "replicas": {"architecture": "H", "layout": Layout(replicas=2), "kinds": ("text", "pictures")},
    }
    compare(tmp_path, 2, cases)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(
    "layout",
    [
        Layout(fsdp=4),
        Layout(fsdp=2, replicas=2),
        Layout(tensor=2, replicas=2),
        Layout(fsdp=2, tensor=2),
        Layout(fsdp=2, tensor=2, recompute=True),
    ],
    ids=str,
)
def test_four_processes_in_every_layout_train_as_one(tmp_path, architecture, layout):
    compare(tmp_path, 4, {"run": {"architecture": architecture, "layout": layout, "accumulate": 2}})


def part(folder: Path, layout: Layout, steps: int, stage: Any) -> dict[str, float]:
    return lanes.run(folder, "H", layout, stage=stage, stop_after=steps, resume=True)


def chain(folder: Path, layouts: list[Layout]) -> None:
    """One step in each layout, each resuming what the one before saved, against one process in one go."""
    stage = replace(lanes.STAGE, steps=len(layouts))
    one = together(1, lanes.run, folder, folder / "one", "H", None, lanes.SHOWN, stage)[0]
    for step, layout in enumerate(layouts):
        found = together(layout.gpus, part, folder, folder / "chain", layout, step + 1, stage)[0]
    assert lanes.losses(folder / "chain") == pytest.approx(lanes.losses(folder / "one"), rel=0, abs=TOLERANCE)
    assert found == pytest.approx(one, rel=0, abs=TOLERANCE)


def test_a_run_goes_on_with_more_and_with_fewer_processes(tmp_path):
    chain(tmp_path, [Layout(), FSDP, Layout(replicas=2), Layout()])


@pytest.mark.slow
def test_a_run_goes_on_in_any_other_layout(tmp_path):
    layouts = [Layout(), FSDP, Layout(fsdp=4), Layout(fsdp=2, tensor=2), Layout(fsdp=2, replicas=2)]
    chain(tmp_path, [*layouts, Layout(tensor=2), Layout(tensor=2, replicas=2), Layout(fsdp=2, tensor=2), Layout()])
