"""The questions that both engines are asked."""

from pathlib import Path

import pytest
from benchmarks.interop.cases import CASES, Case, draw, read_cases, write_cases

from nvlm import tiles

WITH_PICTURES = [case for case in CASES if case.pictures]


def test_there_are_the_kinds_that_the_report_speaks_of() -> None:
    views = [[picture.views for picture in case.pictures] for case in CASES]
    assert views.count([]) == 3
    assert views.count([1]) >= 3
    assert views.count([7]) >= 3
    assert len({number for numbers in views for number in numbers}) >= 5
    assert sum(len(numbers) == 2 for numbers in views) == 2
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("tile_size", [64, 112])
@pytest.mark.parametrize("case", WITH_PICTURES, ids=lambda case: case.name)
def test_pictures_have_the_views_that_they_say(case: Case, tile_size: int) -> None:
    for picture in case.pictures:
        assert len(tiles(draw(picture, tile_size, seed=1), tile_size=tile_size)) == picture.views


def test_pictures_are_the_same_for_the_same_seed() -> None:
    picture = CASES[4].pictures[0]
    assert draw(picture, 64, seed=1).tobytes() == draw(picture, 64, seed=1).tobytes()
    assert draw(picture, 64, seed=1).tobytes() != draw(picture, 64, seed=2).tobytes()
    assert draw(picture, 64, seed=1).mode == "RGBA"


def test_cases_are_read_as_they_were_written(tmp_path: Path) -> None:
    write_cases(tmp_path, 16, chat_template="{{ messages }}", new_tokens=4)
    content = read_cases(tmp_path)
    assert (content["chat_template"], content["new_tokens"]) == ("{{ messages }}", 4)
    assert [case["name"] for case in content["cases"]] == [case.name for case in CASES]
    for case, written in zip(CASES, content["cases"], strict=True):
        assert all(path.is_file() for path in written["pictures"])
        messages = written["messages"]
        texts = [part["text"] for message in messages for part in message["content"] if part["type"] == "text"]
        assert texts == [*([case.system] if case.system else []), *case.turns]
        roles = ["system"] * bool(case.system) + ["user", "assistant", "user"][: len(case.turns)]
        assert [message["role"] for message in messages] == roles
        first = messages[bool(case.system)]["content"]
        assert [part["image"] for part in first if part["type"] == "image"] == written["pictures"]
