import logging

import pytest

from nvlm.processing.budget import note_lowered, tile_budget


@pytest.mark.parametrize(
    ("max_tiles", "largest_that_fits", "expected"),
    [
        (12, 99, 12),
        (12, 11, 8),
        (12, 7, 6),
        (12, 5, 4),
        (12, 3, 2),
        (12, 1, 1),
        (6, 5, 4),
        (6, 6, 6),
        (5, 4, 4),
        (1, 1, 1),
    ],
)
def test_the_first_step_that_fits(max_tiles: int, largest_that_fits: int, expected: int) -> None:
    assert tile_budget(max_tiles, lambda tiles: tiles <= largest_that_fits) == expected


def test_the_steps_are_tried_in_order_and_none_may_fit() -> None:
    tried: list[int] = []
    assert tile_budget(12, lambda tiles: bool(tried.append(tiles))) is None  # type: ignore[func-returns-value]
    assert tried == [12, 8, 6, 4, 2, 1]


def test_the_note_comes_once_for_each_case(caplog: pytest.LogCaptureFixture) -> None:
    note_lowered.cache_clear()
    with caplog.at_level(logging.WARNING, "nvlm"):
        for _ in range(3):
            note_lowered(3, 12, 4, 4096)
        note_lowered(4, 12, 2, 4096)
    assert [record.getMessage() for record in caplog.records] == [
        "3 images do not fit into 4,096 tokens with 12 tiles each: lowered to 4 (give fewer images, or max_tiles=4)",
        "4 images do not fit into 4,096 tokens with 12 tiles each: lowered to 2 (give fewer images, or max_tiles=2)",
    ]
