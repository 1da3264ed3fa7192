import re
from html.parser import HTMLParser

import pytest
from PIL import Image

from nvlm.data.inspect import render_page, show
from nvlm.data.sample import Sample
from nvlm.data.synthetic.problem import Problem, Turn
from nvlm.data.synthetic.splits import generator
from nvlm.data.synthetic.tasks import TASKS, to_sample
from nvlm.data.synthetic.tokenizer import build_tokenizer
from nvlm.processing import NVLMImageProcessor, NVLMProcessor

VOID = {"meta", "img", "br", "path"}


@pytest.fixture(scope="module")
def processors() -> dict[str, NVLMProcessor]:
    tokenizer, images = build_tokenizer(), NVLMImageProcessor(tile_size=64)
    return {name: NVLMProcessor(images, tokenizer, architecture=name, tokens_per_view=16) for name in "DXH"}


def sample(width: int, height: int, question: str = "Read the text.") -> Sample:
    content = [{"type": "image"}, {"type": "text", "text": question}]
    messages = [{"role": "user", "content": content}, {"role": "assistant", "content": "cat"}]
    return Sample("some/id", "synthetic", "read/word", messages, [Image.new("RGB", (width, height), "white")])


def rows(card, name):
    """What each stretch of a panel says it reads, and its chips' texts."""
    panel = next(panel for panel in card.panels if panel.name == name)
    return [(stretch.said, [chip.text for chip in stretch.chips]) for stretch in panel.stretches]


AFTER = [
    "</Image>",
    "↵",
    "Read",
    "the",
    "text",
    ".",
    "<|im_end|>",
    "↵",
    "<|im_start|>",
    "assistant",
    "↵",
    "cat",
    "<|im_end|>",
    "↵",
]
BEFORE = ["<|im_start|>", "user", "↵", "<Image>"]


def test_in_d_every_view_is_read_in_the_sequence_from_its_slots_on(processors):
    assert rows(show(sample(128, 64), processors), "D") == [
        ("reads no view", [*BEFORE, "<tile_1>"]),
        ("reads 1 in the sequence", ["16 × image slot of <tile_1>", "<tile_2>"]),
        ("reads 1, 2 in the sequence", ["16 × image slot of <tile_2>", "<tile_global_thumbnail>"]),
        ("reads 1, 2, T in the sequence", ["16 × image slot of <tile_global_thumbnail>", *AFTER]),
    ]


def test_in_x_tags_read_their_own_view_and_what_follows_reads_all(processors):
    assert rows(show(sample(128, 64), processors), "X") == [
        ("reads no view", BEFORE),
        ("reads 1 from memory", ["<tile_1>"]),
        ("reads 2 from memory", ["<tile_2>"]),
        ("reads T from memory", ["<tile_global_thumbnail>"]),
        ("reads 1, 2, T from memory", AFTER),
    ]


def test_in_h_tiles_are_in_memory_and_the_thumbnail_in_the_sequence(processors):
    card = show(sample(128, 64), processors)
    assert rows(card, "H") == [
        ("reads no view", [*BEFORE, "<tile_global_thumbnail>"]),
        ("reads T in the sequence", ["16 × image slot of <tile_global_thumbnail>"]),
        ("reads 1, 2 from memory and T in the sequence", AFTER),
    ]
    assert card.panels[2].memory == ("tag <tile_1> + 16 features", "tag <tile_2> + 16 features")
    assert card.panels[2].summary == "35 tokens: 16 image slots, 3 supervised; memory: 2 views × 16 tokens"


def test_the_answer_and_the_end_of_its_turn_are_supervised(processors):
    for panel in show(sample(128, 64), processors).panels:
        chips = [chip for stretch in panel.stretches for chip in stretch.chips]
        assert [chip.text for chip in chips if chip.supervised] == ["cat", "<|im_end|>", "↵"]
        assert all(chip.supervised for chip in chips[-3:])


def test_views_say_where_they_go(processors):
    (picture,) = show(sample(192, 128), processors).pictures
    assert (picture.width, picture.height, picture.grid) == (192, 128, (3, 2))
    assert [view.label for view in picture.views] == ["1", "2", "3", "4", "5", "6", "T"]
    assert [view.tag for view in picture.views] == [
        *(f"<tile_{number}>" for number in range(1, 7)),
        "<tile_global_thumbnail>",
    ]
    assert picture.views[0].places == (("D", "sequence"), ("X", "memory"), ("H", "memory"))
    assert picture.views[6].places == (("D", "sequence"), ("X", "memory"), ("H", "sequence"))


def test_a_one_tile_picture_has_one_view_and_h_no_memory(processors):
    card = show(sample(64, 64), processors)
    assert card.labels == ("T",)
    assert card.panels[2].memory == ()
    assert rows(card, "H")[-1][0] == "reads T in the sequence"


def test_several_pictures_are_numbered(processors):
    one = {"type": "image"}
    messages = [{"role": "user", "content": [one, one]}, {"role": "assistant", "content": "cat"}]
    images = [Image.new("RGB", size) for size in ((128, 64), (64, 64))]
    card = show(Sample("id", "synthetic", "two", messages, images), processors)
    assert card.labels == ("1.1", "1.2", "1.T", "2.T")
    assert rows(card, "X")[-1][0] == "reads 1.1, 1.2, 1.T, 2.T from memory"


def test_text_only_samples_have_no_views(processors):
    card = show(to_sample(Problem([Turn("text/copy", "Copy: cat", "cat")]), "id"), processors)
    assert card.pictures == card.labels == ()
    assert all(len(panel.stretches) == 1 and panel.memory == () for panel in card.panels)
    assert "text only" in render_page(
        [to_sample(Problem([Turn("text/copy", "Copy: cat", "cat")]), "id")], processors, "t"
    )


class Balance(HTMLParser):
    """Fails on a tag that is not closed by its own end."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Closes itself."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(processors) -> str:
    samples = [
        to_sample(make(generator("validation", f"page/{name}", 0), "validation"), name)
        for name, (make, _) in TASKS.items()
    ]
    return render_page(samples, processors, "A title & more")


def test_the_page_is_well_formed_and_self_contained(page):
    balance = Balance()
    balance.feed(page)
    assert balance.open == []
    assert "<title>A title &amp; more</title>" in page
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert sources and all(source.startswith("data:image/png;base64,") for source in sources)
    assert not re.search(r"https?://|@import|url\(", page)


def test_the_page_shows_every_sample_in_every_architecture(page):
    assert page.count("<article>") == len(TASKS)
    assert page.count('<section class="panel"') == 3 * len(TASKS)


def test_what_a_sample_says_is_text_and_not_markup(processors):
    page = render_page([sample(64, 64, question="<script>alert(1)</script>")], processors, "t")
    assert "<script>alert" not in page


def test_one_architecture_alone(processors):
    page = render_page([sample(128, 64)], {"H": processors["H"]}, "t")
    assert "NVLM-D" not in page
    assert "as NVLM-H sees them" in page
