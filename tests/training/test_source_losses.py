"""The loss of every source, and what else a step says of its samples."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from nvlm.modeling.loss import IGNORED
from nvlm.training.source_losses import heard, losses_by_source
from tests.modeling import batches as made
from tests.training import lanes
from tests.training.toy import Toy

WORDS = [made.text(9, seed) for seed in range(3)]


def test_sources_that_share_a_row_have_the_losses_of_their_samples():
    model, row = lanes.tiny("D").eval(), lanes.packed(WORDS)
    with heard(model, True) as logits, torch.no_grad():
        model(**row)
    spans = [("notes", len(WORDS[0]) - 1), ("forms", len(WORDS[1]) - 1), ("notes", len(WORDS[2]) - 1)]
    found = losses_by_source(logits, row["labels"], spans)
    with torch.no_grad():
        alone = [float(model(**lanes.packed([sample])).loss) * (len(sample) - 1) for sample in WORDS]
    assert {source: count for source, (_, count) in found.items()} == {"notes": 16, "forms": 8}
    assert float(found["notes"][0]) == pytest.approx(alone[0] + alone[2], abs=1e-5)
    assert float(found["forms"][0]) == pytest.approx(alone[1], abs=1e-5)


def test_many_tokens_go_in_parts():
    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(1, 299, 7, generator=generator), torch.randint(0, 7, (1, 300), generator=generator)
    labels[0, 0] = IGNORED
    (total, count) = losses_by_source([logits], labels, [("one", 200), ("one", 0), ("one", 99)])["one"]
    assert count == 299
    torch.testing.assert_close(total, nn.functional.cross_entropy(logits[0], labels[0, 1:], reduction="sum"))


def test_nothing_is_told_where_heads_and_tokens_do_not_match():
    labels = torch.tensor([[IGNORED, 1, 2]])
    assert losses_by_source([torch.zeros(1, 2, 5)], labels, [("one", 3)]) == {}
    assert losses_by_source([torch.zeros(1, 3, 5)], labels, [("one", 2)]) == {}
    assert losses_by_source([], labels, [("one", 2)]) == {}
    with heard(Toy(), True) as logits, heard(lanes.tiny("D"), False) as others:
        assert logits == [] and others == []


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    folder: Path = tmp_path_factory.mktemp("told")
    lanes.run(folder, "H", kinds=("packed", "packed", "pictures"))
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_a_step_names_its_sources(rows):
    for row in rows:
        sources = row["sources"]
        assert set(sources) == {"packed", "more", "pictures"}
        assert sources["packed"]["samples"] == 4 and sources["pictures"]["images"] == 2
        assert "loss" not in sources["pictures"]  # that lane does not say whose tokens have a loss
        assert min(sources["packed"]["loss"], sources["more"]["loss"]) > 0


def test_a_step_names_what_the_issue_of_a_run_is_seen_by(rows):
    for row in rows:
        assert {"norm", "rate", "supervised", "seconds", "waited", "tokens_per_second", "images_per_second"} <= set(row)
        assert set(row["norms"]) == {"connector", "language_model", "cross_attention"}
        assert all(-1 < gate < 1 for gate in row["gates"].values()) and row["gates"]
        assert row["samples"] == 6 and row["fill"] < 0.6  # rows of 64 with two short samples


def test_no_hook_stays(rows):
    model = lanes.tiny("D")
    with heard(model, True):
        assert len(model.get_output_embeddings()._forward_hooks) == 1
    assert not model.get_output_embeddings()._forward_hooks
