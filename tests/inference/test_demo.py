"""The demo's measurement, its table in any terminal, and its page."""

import io
import re
from html.parser import HTMLParser

import pytest
from rich.console import Console

from nvlm.data.showcase import Exhibit, exhibits
from nvlm.inference.demo import Answer, Contestant, Round, Standing, play, setting, standings
from nvlm.inference.demo_page import picture, render_page
from nvlm.inference.demo_table import plain, print_rounds, print_standings
from tests.inference.tiny import TOKENS_PER_VIEW, Tiny

NAMES = ["tiny-d", "tiny-x", "tiny-h"]


@pytest.fixture(scope="module")
def contestants(tiny_models: dict[str, Tiny]) -> list[Contestant]:
    return [Contestant(f"tiny-{name.lower()}", *pair) for name, pair in tiny_models.items()]


@pytest.fixture(scope="module")
def shown() -> list[Exhibit]:
    """A picture of six tiles, one of one tile, and none."""
    every = exhibits()
    single = next(exhibit for exhibit in every if exhibit.image is not None and exhibit.image.size == (64, 64))
    return [every[0], single, next(exhibit for exhibit in every if exhibit.image is None)]


@pytest.fixture(scope="module")
def played(contestants: list[Contestant], shown: list[Exhibit]) -> list[Round]:
    return play(contestants, shown)


@pytest.fixture(scope="module")
def rounds(shown: list[Exhibit]) -> list[Round]:
    """Made-up answers: D is right, X empty, H full of what markup and terminals trip over."""

    def answers(exhibit: Exhibit) -> tuple[Answer, ...]:
        return (
            Answer(exhibit.truth, True, 40.4, 112, 0, 130),
            Answer("", False, 50.0, 0, 112, 30),
            Answer("[bold]<b>1</b>\x1b[31m\nnext", False, 60.0, 16, 96, 40),
        )

    return [Round(exhibit, answers(exhibit)) for exhibit in shown]


def test_every_contestant_answers_every_question(played: list[Round], contestants: list[Contestant]) -> None:
    six, one, none = TOKENS_PER_VIEW * 7, TOKENS_PER_VIEW, 0
    places = [[(answer.in_sequence, answer.in_memory) for answer in each.answers] for each in played]
    assert places[0] == [(six, 0), (0, six), (one, six - one)]
    assert places[1] == [(one, 0), (0, one), (one, 0)]
    assert places[2] == [(none, none)] * 3
    assert all(answer.milliseconds > 0 and answer.prompt_tokens > answer.in_sequence for answer in played[0].answers)
    assert [contestant.architecture for contestant in contestants] == ["NVLM-D", "NVLM-X", "NVLM-H"]


def test_the_answers_are_counted_while_they_come(contestants: list[Contestant], shown: list[Exhibit]) -> None:
    ticks: list[int] = []
    play(contestants[:1], shown[1:], lambda: ticks.append(1))
    assert len(ticks) == 2


def test_standings(contestants: list[Contestant], rounds: list[Round]) -> None:
    first, second, third = standings(contestants, rounds)
    assert (first.right, first.asked, first.wrong) == (3, 3, ())
    assert (second.right, second.wrong) == (0, (1, 2, 3))
    assert (third.in_sequence, third.in_memory, third.prompt_tokens, third.milliseconds) == (16, 96, 40, 60.0)
    assert first.parameters == contestants[0].model.num_parameters()
    assert "one question at a time" in setting(contestants)


def printed(
    rounds: list[Round], table: list[Standing], width: int, encoding: str = "utf-8", terminal: bool = False
) -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding)
    console = Console(file=file, width=width, highlight=False, force_terminal=terminal)
    print_rounds(console, NAMES, rounds)
    print_standings(console, table)
    file.flush()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("width", [120, 96, 60, 30])
def test_the_table_fits_any_width(contestants: list[Contestant], rounds: list[Round], width: int) -> None:
    text = printed(rounds, standings(contestants, rounds), width)
    assert max(map(len, text.splitlines())) <= width
    assert "\x1b" not in text
    words = " ".join(text.split())
    assert "tiny-d: nothing wrong" in words
    assert "tiny-x: wrong on questions 1, 2, 3" in words
    assert text.count("\u2713") == 3
    assert text.count("\u2717") == 6
    assert "(nothing)" in text


def test_the_table_in_another_encoding(contestants: list[Contestant], rounds: list[Round]) -> None:
    text = printed(rounds, standings(contestants, rounds), 120, encoding="ascii")
    assert "right: 29" in text
    assert "wrong: (nothing)" in text


def test_a_terminal_gets_colours_too(contestants: list[Contestant], rounds: list[Round]) -> None:
    text = printed(rounds, standings(contestants, rounds), 120, terminal=True)
    assert "\x1b[31m\u2717" in text or "\x1b[31m" in text


def test_answers_on_one_line() -> None:
    assert plain("a\nb\tc\x07") == "a / b c"
    assert plain("") == "(nothing)"


class Page(HTMLParser):
    """What the page is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_needs_nothing_else(contestants: list[Contestant], rounds: list[Round]) -> None:
    html = render_page(contestants, rounds)
    page = Page()
    page.feed(html)
    names = [tag for tag, _ in page.tags]
    assert not {"script", "link", "iframe", "b"} & set(names)
    assert not re.search(r"""(src|href)=["'](?!data:image/png;base64,|#q\d)""", html)
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(images) == 1 + 7 + 1
    assert all(attributes["alt"] for attributes in images)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [str(attributes["href"])[1:] for tag, attributes in page.tags if tag == "a"]
    assert set(links) <= set(ids)
    assert len(links) == 6


def test_the_page_says_what_is_wrong(contestants: list[Contestant], rounds: list[Round]) -> None:
    page = Page()
    page.feed(render_page(contestants, rounds))
    words = " ".join(page.text.split())
    assert words.count("\u2713 right") == 3
    assert words.count("\u2717 wrong") == 6
    assert "tiny-x: 3 of 3 wrong, questions 1, 2, 3" in words
    assert "tiny-d: none" in words
    assert "[bold]<b>1</b>[31m / next" in words
    assert "112 + 0" in words
    assert "6 tiles and a thumbnail" in words
    assert rounds[0].exhibit.credit in words


def test_small_pictures_are_enlarged_and_tall_ones_made_to_fit(tiny_models: dict[str, Tiny]) -> None:
    from PIL import Image

    _, processor = tiny_models["D"]
    sizes = {
        (64, 64): (128, 128),
        (128, 640): (88, 440),
        (576, 384): (576, 384),
    }
    for size, wanted in sizes.items():
        shown = picture(Image.new("RGB", size), processor)
        assert (shown.width, shown.height) == wanted
    assert picture(Image.new("RGB", (64, 64)), processor).thumbnail is None
