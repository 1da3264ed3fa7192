import pytest

from nvlm.planning.workload import shape_of
from nvlm.recipes.known import find_recipe
from nvlm.recipes.paper_34b import paper_34b
from nvlm.recipes.paper_72b import paper_72b
from nvlm.recipes.workloads import workload_of


@pytest.mark.parametrize(
    ("architecture", "text", "sequence", "memory"),
    [("D", 3200 - 7 * 261, 3200, 0), ("X", 1024 - 7 * 5, 1024, 7 * 256), ("H", 1280 - 261, 1280, 6 * 261)],
)
def test_samples_fill_the_length_of_fine_tuning(architecture: str, text: int, sequence: int, memory: int):
    recipe = paper_72b(architecture)
    work = workload_of(recipe, recipe.sft)
    assert (work.text, work.supervised) == (text, text)
    assert tuple(shape_of(recipe.model.config(), work)) == (7, sequence, memory)


@pytest.mark.parametrize(("architecture", "views", "memory"), [("D", 1, 0), ("X", 1, 256), ("H", 7, 6 * 261)])
def test_and_of_pretraining(architecture: str, views: int, memory: int):
    recipe = paper_34b(architecture)
    work = workload_of(recipe, recipe.pretrain)
    assert tuple(shape_of(recipe.model.config(), work)) == (views, 512, memory)


def test_what_the_command_line_changes():
    recipe = paper_34b("D")
    work = workload_of(recipe, recipe.sft, text=100, tiles=2, samples=1000)
    assert (work.text, work.tiles, work.steps, work.samples) == (100, 2, 8, 1024)
    assert work.published == "TP 8 x PP 4"


def test_supervised_text_is_a_share():
    recipe = find_recipe("nano", "X")
    work = workload_of(recipe, recipe.sft)
    assert work.supervised == 0.25 * work.text
    assert (work.moments, work.stored_features) == (1, True)
    assert work.rows * recipe.sft.length <= 2500


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text": 2000}, "stage sft has 3200 tokens, 1827 of which its picture takes; 2000 tokens of text do not fit"),
        ({"tiles": 7}, "7 tiles in a picture, but stage sft of paper_72b allows 6"),
        ({"samples": 0}, "0 samples are too few"),
    ],
)
def test_contradictions_are_refused(changes: dict[str, int], message: str):
    recipe = paper_72b("D")
    with pytest.raises(ValueError, match=message):
        workload_of(recipe, recipe.sft, **changes)
