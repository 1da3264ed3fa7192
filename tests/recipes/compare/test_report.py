"""The report of made-up results: page, Markdown and JSON say the same."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from nvlm.recipes.compare.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Line, line_chart
from nvlm.recipes.compare.markdown import render_markdown, table
from nvlm.recipes.compare.page import render_page
from nvlm.recipes.compare.report import Measured, Report, build_report, write_json
from nvlm.recipes.compare.sections import sections
from tests.recipes.compare.made_up import SETTING, evidence, measured

VARIANTS = ("x-frozen", "h", "d", "x", "d-low-res")
EFFECTS = {"d": 0.2, "d-low-res": -0.3}
VOID = ("meta", "img", "br", "line", "polyline", "input")


class Page(HTMLParser):
    """Checks that tags close, and collects what a page holds."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def report() -> Report:
    return build_report(SETTING, measured(EFFECTS, VARIANTS), ["x-frozen, seed 3"])


@pytest.fixture(scope="module")
def page(report: Report) -> Page:
    return Page(render_page(report))


def test_the_page_needs_nothing_else(page: Page):
    names = {tag for tag, _ in page.tags}
    assert "script" not in names and "link" not in names
    sources = [value for _, attrs in page.tags for name in ("src", "href") if (value := attrs.get(name))]
    assert all(source.startswith(("data:image/png;base64,", "#")) for source in sources)
    anchors = {value[1:] for value in sources if value.startswith("#")}
    assert anchors == {attrs["id"] for tag, attrs in page.tags if tag == "h2"}
    assert all(attrs.get("alt") for tag, attrs in page.tags if tag == "img")


def test_page_and_markdown_hold_the_same_tables(report: Report, page: Page):
    shown, written = " ".join(" ".join(page.text).split()), render_markdown(report)
    for section in sections(report):
        assert section.title in shown and f"## {section.title}\n" in written
        assert section.note in written
    for number in ("published, not measured here", "NVLM-D 72B", "not measured in this comparison", "0.3"):
        assert number in shown and number in written
    rows = [line for line in written.splitlines() if line.startswith("| ")]
    assert len(rows) == sum(len(section.rows) + 2 for section in sections(report))


def test_what_is_not_finished_is_told(report: Report, page: Page):
    assert "Not trained yet: x-frozen, seed 3." in " ".join(page.text)
    assert "**Not trained yet:** x-frozen, seed 3." in render_markdown(report)
    assert "Not trained yet" not in render_markdown(replace(report, missing=()))


def test_what_models_wrote_stays_text(report: Report):
    text = render_page(report)
    assert "&lt;7|8&gt;" in text and "<7|8>" not in text
    assert "&lt;7\\|8>" in render_markdown(report)


def test_the_three_come_first_and_ablations_stand_against_their_own(report: Report):
    assert [each.name for each in report.variants] == ["d", "x", "h", "d-low-res", "x-frozen"]
    assert [each.name for each in report.main] == ["d", "x", "h"]
    low = report.variants[3]
    assert low.over_base["text-rich"].change.mean < -0.3
    assert report.main[0].over_base == {}
    assert low.cost is None and report.main[0].cost is not None
    assert report.main[1].cost is not None and report.main[1].cost.samples_per_second.value > 150


def test_json_holds_every_number_and_verdict(report: Report, tmp_path: Path):
    write_json(report, tmp_path / "compare.json")
    held = json.loads((tmp_path / "compare.json").read_text())
    assert {each["claim"]: each["verdict"] for each in held["findings"]} == {
        each.claim: each.verdict for each in report.findings
    }
    d = held["variants"][0]
    assert d["quality"]["all picture tasks"]["score"]["n"] == 34 * 20
    assert d["seeds"] == [0, 1, 2] and len(d["quality"]["all picture tasks"]["seeds"]) == 3
    assert d["curves"]["sft"]["0"][0] == [10, pytest.approx(2.8, abs=0.3)]
    assert d["cost"]["step"]["n"] == 12 and d["cost"]["memory"] == 901
    assert held["examples"][0]["answers"]["x"] == ["<7|8>", 0.0]
    assert held["published"]["mark"] == "published, not measured here"
    assert held["published"]["tables"]["7"]["rows"][0]["values"]["DocVQA"] == 92.6
    assert list(tmp_path.iterdir()) == [tmp_path / "compare.json"]


def test_a_report_can_be_written_when_the_first_model_is_finished():
    early = build_report(SETTING, Measured({"d": [evidence("d", 0, {})], "x": []}), ["x, seed 0"])
    Page(render_page(early))
    shown = [section.id for section in sections(early)]
    assert "speed" not in shown and "ablations" not in shown and "answers" not in shown
    assert {each.verdict for each in early.findings} == {"cannot tell"}
    nothing = build_report(SETTING, Measured({"d": []}), ["d, seed 0"])
    Page(render_page(nothing))
    assert sections(nothing)[0].id == "findings"


def test_curves_stay_inside_their_axes():
    svg = line_chart([Line("c0", [(10, 3.1), (1500, 0.2)]), Line("c1", [(5, 2.0)])], said='a "b" <c>')
    assert 'aria-label="a &#34;b&#34; &lt;c&gt;"' in svg
    places = [tuple(map(float, pair.split(","))) for pair in re.findall(r"[\d.]+,[\d.]+", svg.split("<polyline", 1)[1])]
    assert len(places) == 3
    assert all(LEFT <= x <= WIDTH - RIGHT and TOP <= y <= HEIGHT - BOTTOM for x, y in places)
    assert all(f">{name}</text>" in svg for name in ("step", "loss", "1,600", "3.2"))
    assert places[1][0] > places[0][0] and places[1][1] > places[0][1]
    with pytest.raises(ValueError, match="at least one point"):
        line_chart([], said="nothing")


def test_markdown_cells_keep_to_themselves():
    assert table(["a"], [["1|2\n<b>"], [""]]).splitlines()[2:] == ["| 1\\|2<br>&lt;b> |", "|   |"]
