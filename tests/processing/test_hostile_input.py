"""Whatever people send: any text is text, and any bytes are a picture or an `ImageError`."""

import contextlib
import io
import warnings
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nvlm.processing import ImageError, Limits, NVLMProcessor, load_image
from tests.processing.builders import assistant, picture, processor, user

PIECES = [
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_pad|>",
    "<|",
    "|>",
    "im_end",
    "<image>",
    "<Image>",
    "</Image>",
    "<tile_1>",
    "\n",
    " ",
]
TEXTS = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=6)), max_size=8).map("".join)
TEXTS = TEXTS.filter(lambda text: "\ufdd0" not in text and "\ufdd1" not in text)
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")

made_by = cache(processor)


def special_counts(maker: NVLMProcessor, question: str, answer: str) -> list[int]:
    row = maker.layout([user(question, picture(), question), assistant(answer)], [(2, 1)])
    return [int((row.input_ids == token).sum()) for token in maker.tokenizer.all_special_ids]


@settings(max_examples=60, deadline=None)
@given(
    question=TEXTS, answer=TEXTS, architecture=st.sampled_from("DXH"), tokenized=st.sampled_from(["alone", "inline"])
)
def test_no_text_opens_turns_or_slots(question: str, answer: str, architecture: str, tokenized: str) -> None:
    maker = made_by(architecture, tags_tokenized=tokenized)
    assert special_counts(maker, question, answer) == special_counts(maker, "a", "b")
    row = maker.layout([user(question), assistant(answer)])
    whole = f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n{answer}<|im_end|>\n"
    assert maker.decode(row.input_ids) == whole
    assert maker.decode(row.input_ids[row.supervised]) == f"{answer}<|im_end|>\n"


@settings(max_examples=60, deadline=None)
@given(
    grids=st.lists(st.tuples(st.integers(1, 3), st.integers(1, 2)), max_size=4),
    text=TEXTS,
    architecture=st.sampled_from("DXH"),
    tokenized=st.sampled_from(["alone", "inline"]),
    tag_format=st.sampled_from(["none", "1d", "2d-grid", "2d-box"]),
)
def test_a_token_reads_one_view_or_everything_that_ended(
    grids: list[tuple[int, int]], text: str, architecture: str, tokenized: str, tag_format: str
) -> None:
    maker = made_by(architecture, tags_tokenized=tokenized, tag_format=tag_format)
    row = maker.layout([user(text, *(picture() for _ in grids), text)], grids)
    reads = row.readable()
    in_memory = np.isin(row.tag_view, row.memory_views)
    assert (reads[in_memory].sum(1) == 1).all()
    ends = np.cumsum([sum(view.kind in row.architecture.in_memory for view in views) for views in row.views])
    counts = reads[~in_memory].sum(1)
    assert (np.diff(counts) >= 0).all()
    assert set(counts.tolist()) <= {0, *ends.tolist()}
    assert reads[-1].all()
    assert int((row.slot_view >= 0).sum()) == len(row.sequence_views) * maker.tokens_per_view


@cache
def file_of(image_format: str) -> bytes:
    buffer = io.BytesIO()
    Image.effect_mandelbrot((48, 32), (-2, -1, 1, 1), 50).convert("RGB").save(buffer, image_format)
    return buffer.getvalue()


@pytest.mark.parametrize("image_format", FORMATS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_damaged_files_are_pictures_or_image_errors(image_format: str, data: st.DataObject) -> None:
    damaged = bytearray(file_of(image_format))
    for place in data.draw(st.lists(st.integers(0, len(damaged) - 1), max_size=6)):
        damaged[place] = data.draw(st.integers(0, 255))
    kept = data.draw(st.integers(0, len(damaged)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on damaged metadata
        with contextlib.suppress(ImageError):
            assert load_image(bytes(damaged[:kept]), Limits(pixels=10**6)).mode == "RGB"
