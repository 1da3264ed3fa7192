"""Times, memory and tokens of variants."""

from pathlib import Path

import pytest
from PIL import Image

from nvlm.recipes.compare import measure as timed
from nvlm.recipes.compare.backbones import Shared
from nvlm.recipes.compare.lengths import lengths_of
from nvlm.recipes.compare.make import curve
from nvlm.recipes.compare.measure import Trainee, measure, widest_question
from nvlm.recipes.compare.memory import STATUS, highest, peak_memory
from nvlm.recipes.compare.variants import find_variant
from nvlm.recipes.nano.language import build_processor


def test_variants_take_turns_forwards_and_backwards(ground: Shared, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(timed, "WRITTEN", 3)
    order: list[str] = []
    trainees, writers = {}, {}
    for name in ("d", "x"):
        model, processor, phases = ground.begin(find_variant(name))
        trainees[name] = Trainee(model, phases[-1])
        writers[name] = (model, processor)
    plain = timed.answer_times

    def noting(model, processor, question: str, image: Image.Image) -> tuple[float, float]:
        order.append(model.config.architecture)
        return plain(model, processor, question, image)

    monkeypatch.setattr(timed, "answer_times", noting)
    found = measure(trainees, writers, {"d": 12.5}, rounds=2)
    assert order == ["X", "D", "D", "X"] * 2  # the first half does not count
    for speed in found.values():
        assert [len(times) for times in (speed.steps, speed.batches, speed.first_token, speed.token)] == [2] * 4
        assert all(time > 0 for times in (speed.steps, speed.batches, speed.first_token, speed.token) for time in times)
    assert (found["d"].memory, found["x"].memory) == (12.5, None)
    assert found["d"].rows == 3


def test_the_timed_picture_has_six_tiles():
    images = build_processor("D").image_processor
    assert images.grid(images.load(widest_question()[1])).tiles == 6


def test_lengths_are_those_of_the_architectures():
    """Six tiles: seven views of 16 tokens with a tag each; H holds tags in memory, one token each."""
    six = {name: lengths_of(find_variant(name))[-1] for name in ("d", "x", "h", "h-no-tags", "d-low-res")}
    assert (six["d"].in_sequence, six["d"].in_memory) == (112, 0)
    assert (six["x"].in_sequence, six["x"].in_memory) == (0, 112)
    assert (six["h"].in_sequence, six["h"].in_memory) == (16, 6 * 17)
    assert (six["h-no-tags"].in_memory, six["h-no-tags"].decoder) == (6 * 16, six["h"].decoder - 1)
    assert six["d-low-res"].decoder == lengths_of(find_variant("d"))[0].decoder
    assert six["d"].decoder - six["x"].decoder == 112


def test_a_curve_is_means_over_neighbouring_steps(tmp_path: Path):
    rows = [f'{{"step": {step}, "loss": {step % 2}.0}}\n' for step in range(10)] + ['{"step": 9, "scores": {}}\n']
    (tmp_path / "log.jsonl").write_text("".join(rows))
    assert curve(tmp_path / "log.jsonl", points=5) == [(2, 0.5), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)]
    assert curve(tmp_path / "log.jsonl", points=4) == [(3, 1 / 3), (6, 2 / 3), (9, 1 / 3), (10, 1.0)]
    assert len(curve(tmp_path / "log.jsonl")) == 10


def test_the_highest_resident_set_is_read():
    assert highest("VmRSS:\t 10 kB\nVmHWM:\t  2048 kB\nVmX: 1 kB") == 2.0
    assert highest("VmRSS:\t 10 kB") is None


@pytest.mark.slow
@pytest.mark.skipif(not STATUS.exists(), reason="only Linux tells")
def test_memory_is_that_of_a_fresh_process(ground: Shared):
    ballast = bytearray(300 * 2**20)
    found = peak_memory(ground, find_variant("d"))
    assert found is not None and 200 < found < 2000
    again = peak_memory(ground, find_variant("d"))
    assert again == pytest.approx(found, rel=0.1)
    assert len(ballast) > 0
