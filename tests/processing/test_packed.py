"""Several samples in one row: what stands where, and that a model computes what it computes with padded rows."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import InternVLVisionConfig, Qwen2Config
from transformers.feature_extraction_utils import BatchFeature

from nvlm.modeling import NVLMConfig, NVLMForConditionalGeneration
from nvlm.processing import NVLMProcessor, Row
from nvlm.processing.packed import PackedRow
from nvlm.processing.tiling import Grid
from tests.processing.builders import TILE, assistant, picture, processor, user

Sample = tuple[list[Any], list[tuple[int, int]]]

PICTURED: Sample = ([user(picture(2, 1), "What?"), assistant("A red.")], [(2, 1)])
TEXT: Sample = ([user("What?"), assistant("It is 12.")], [])
ONE_TILE: Sample = ([user(picture(), "Is it?"), assistant("red")], [(1, 1)])
TWO: Sample = ([user(picture(3, 1), "a", picture(), "b"), assistant("12")], [(3, 1), (1, 1)])
SAMPLES = (PICTURED, TEXT, ONE_TILE, TWO)

every_architecture = pytest.mark.parametrize("architecture", ["D", "X", "H"])


def laid_out(made_by: NVLMProcessor, *samples: Sample) -> list[Row]:
    return [made_by.layout(*sample) for sample in samples]


def table(made_by: NVLMProcessor, batch: BatchFeature) -> list[str]:
    """A row of a batch as one line a token: token, position, supervised, the views in memory that it reads."""
    tokens = made_by.tokenizer.convert_ids_to_tokens(batch["input_ids"][0].tolist())
    lines = []
    for place, token in enumerate(tokens):
        name = "•" if token == made_by.image_token else token
        mark = "+" if batch["labels"][0, place] != -100 else "."
        reads = batch["cross_attention_mask"][0, place].nonzero().flatten().tolist() if "memory_views" in batch else []
        lines.append(" ".join([name, str(batch["position_ids"][0, place].item()), mark, *map(str, reads)]))
    lines += [f"{key} {batch[key][0].tolist()}" for key in ("sequence_views", "memory_views") if key in batch]
    for ids in batch["memory_tag_ids"][0].tolist() if "memory_tag_ids" in batch else []:
        lines.append(" ".join(["memory_tag", *made_by.tokenizer.convert_ids_to_tokens(ids)]))
    return lines


@every_architecture
def test_the_golden_row(architecture: str) -> None:
    """A picture of two tiles, a text, a picture of one tile; see `golden/packed-*.txt`."""
    made_by = processor(architecture)
    batch = made_by.encode_packed([laid_out(made_by, PICTURED, TEXT, ONE_TILE)])
    golden = Path(__file__).parent / "golden" / f"packed-{architecture.lower()}.txt"
    assert table(made_by, batch) == golden.read_text("utf-8").splitlines()


@every_architecture
def test_a_row_is_its_samples_one_after_another(architecture: str) -> None:
    made_by = processor(architecture, tokens_per_view=2)
    rows = laid_out(made_by, *SAMPLES)
    row = PackedRow(tuple(rows))
    assert row.input_ids.tolist() == [token for sample in rows for token in sample.input_ids]
    assert row.position_ids.tolist() == [place for sample in rows for place in range(len(sample))]
    assert row.all_views == tuple(view for sample in rows for view in sample.all_views)
    assert row.memory_tags == [tag for sample in rows for tag in sample.memory_tags]
    views = np.cumsum([0, *(len(sample.all_views) for sample in rows)]).tolist()
    for name in ("sequence_views", "memory_views"):
        wanted = [first + view for first, sample in zip(views, rows, strict=False) for view in getattr(sample, name)]
        assert getattr(row, name) == wanted
    readable, token, view = row.readable(), 0, 0
    for sample in rows:
        block = (slice(token, token + len(sample)), slice(view, view + len(sample.memory_views)))
        assert np.array_equal(readable[block], sample.readable())
        readable[block] = False
        token, view = token + len(sample), view + len(sample.memory_views)
    assert not readable.any()


def test_the_first_token_of_a_sample_is_not_supervised() -> None:
    """Only the sample before could predict it; in a row of its own nothing does."""
    made_by = processor("D")
    whole = made_by.layout(*TEXT)
    everything = Row(**{**vars(whole), "supervised": np.ones(len(whole), np.bool_)})
    labels = made_by.encode_packed([[everything, everything]])["labels"][0]
    assert (labels == -100).nonzero().flatten().tolist() == [0, len(whole)]


def test_rows_are_padded_on_the_right_and_the_padding_is_a_sample_of_its_own() -> None:
    made_by = processor("H")
    samples = laid_out(made_by, TEXT, ONE_TILE)
    batch = made_by.encode_packed([samples, samples[:1]])
    long, short = sum(map(len, samples)), len(samples[0])
    assert batch["input_ids"].shape == batch["labels"].shape == (2, long)
    assert "attention_mask" not in batch
    assert batch["position_ids"][1].tolist() == [*range(short), *range(long - short)]
    assert set(batch["input_ids"][1, short:].tolist()) == {made_by.pad_token_id}
    assert set(batch["labels"][1, short:].tolist()) == {-100}
    assert "labels" not in made_by.encode_packed([samples], supervise=False)


@pytest.mark.parametrize("architecture", ["X", "H"])
def test_a_row_without_pictures_has_no_views(architecture: str) -> None:
    made_by = processor(architecture)
    assert set(made_by.encode_packed([laid_out(made_by, TEXT, TEXT)])) == {"input_ids", "labels", "position_ids"}


def test_what_cannot_be_packed_is_refused() -> None:
    made_by = processor("D")
    with pytest.raises(ValueError, match="at least one row"):
        made_by.encode_packed([])
    with pytest.raises(ValueError, match="at least one sample"):
        made_by.encode_packed([[]])
    views = made_by.image_processor.views(picture(3, 1), Grid(3, 1))
    with pytest.raises(ValueError, match="laid out for 3 views but 4 are given; were the pictures cut by other grids"):
        made_by.encode_packed([laid_out(made_by, PICTURED)], [views])


# Parts of a text ----------------------------------------------------------------------------------


def test_a_part_of_a_text_is_a_row_of_its_own() -> None:
    made_by = processor("X")
    row = made_by.layout(*TEXT)
    first, second = row.part(0, 4), row.part(4, len(row))
    assert (len(first), len(second)) == (4, len(row) - 4)
    assert [*first.input_ids, *second.input_ids] == row.input_ids.tolist()
    batch = made_by.encode_packed([[first, second]])
    assert batch["position_ids"][0].tolist() == [*range(4), *range(len(row) - 4)]
    with pytest.raises(ValueError, match="only a row of text can be split, but this one has 1 images"):
        made_by.layout(*PICTURED).part(0, 4)


# With a model -------------------------------------------------------------------------------------


def small_model(made_by: NVLMProcessor) -> NVLMForConditionalGeneration:
    size = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2}
    config = NVLMConfig(
        vision_config=InternVLVisionConfig(**size, num_hidden_layers=1, image_size=[TILE, TILE], patch_size=[4, 4]),
        text_config=Qwen2Config(
            **size, num_hidden_layers=2, num_key_value_heads=1, vocab_size=len(made_by.tokenizer), initializer_range=0.2
        ),
        architecture=made_by.architecture,
        image_token_id=made_by.image_token_id,
        cross_attention_every=1,
        cross_attention_gate_init=0.7,
    )
    torch.manual_seed(0)
    return NVLMForConditionalGeneration(config).eval()


@every_architecture
def test_packed_and_padded_batches_have_the_same_losses(architecture: str) -> None:
    """From pictures: of all samples together, and of each alone when the others' labels are taken away."""
    made_by = processor(architecture, tokens_per_view=4)
    model = small_model(made_by)
    padded = made_by.encode([messages for messages, _ in SAMPLES])
    pictures = [
        made_by.image_processor.views(part["image"], Grid(*grid))
        for messages, grids in SAMPLES
        for part, grid in zip([p for p in messages[0]["content"] if p["type"] == "image"], grids, strict=True)
    ]
    rows = laid_out(made_by, *SAMPLES)
    packed = made_by.encode_packed([rows[:3], rows[3:]], pictures)
    assert torch.equal(packed["pixel_values"], padded["pixel_values"])
    assert model(**packed).loss.item() == pytest.approx(model(**padded).loss.item(), abs=1e-5)
    starts = [0, len(rows[0]), len(rows[0]) + len(rows[1]), 0]
    for number, (row, start) in enumerate(zip(rows, starts, strict=True)):
        own = torch.full_like(packed["labels"], -100)
        place = (number // 3, slice(start, start + len(row)))
        own[place] = packed["labels"][place]
        alone = torch.full_like(padded["labels"], -100)
        alone[number] = padded["labels"][number]
        found, wanted = (
            model(**{**batch, "labels": labels}).loss for batch, labels in ((packed, own), (padded, alone))
        )
        assert found.item() == pytest.approx(wanted.item(), abs=1e-5)
