"""`nvlm demo`, from its arguments to the table and the page."""

import argparse
from pathlib import Path

import pytest

from nvlm.cli import demo
from nvlm.data.showcase import exhibits
from nvlm.inference.load import SHIPPED


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    demo.add_arguments(parser)
    return demo.run(parser.parse_args(arguments))


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three questions instead of all."""
    shown = [exhibits()[0], *exhibits()[-2:]]
    monkeypatch.setattr("nvlm.data.showcase.exhibits", lambda: shown)


@pytest.mark.usefixtures("few")
def test_three_models_side_by_side(
    tiny_folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    folder = tmp_path / "new" / "report"
    assert run("--models", *map(str, tiny_folders.values()), "--out", str(folder)) == 0
    printed = capsys.readouterr().out
    for name in ("tiny-d", "tiny-x", "tiny-h"):
        assert name in printed
    assert "Medals" in printed
    page = folder / "nvlm-demo.html"
    assert str(page) in printed
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert "tiny-h" in text


@pytest.mark.usefixtures("few")
def test_without_a_page(
    tiny_folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("--models", str(tiny_folders["X"]), "--no-page") == 0
    assert "html" not in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_where_the_page_goes(tmp_path: Path) -> None:
    assert demo.page_path(tmp_path) == tmp_path / "nvlm-demo.html"
    assert demo.page_path(tmp_path / "mine.html") == tmp_path / "mine.html"
    assert demo.page_path(tmp_path / "deep" / "folder") == tmp_path / "deep" / "folder" / "nvlm-demo.html"
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot be made"):
        demo.page_path(tmp_path / "file" / "page.html")


def test_names_in_the_table() -> None:
    assert demo.short_names(["nano-d", "runs/mine"]) == ["nano-d", "mine"]
    assert demo.short_names(["a/nano", "b/nano"]) == ["a/nano", "b/nano"]
    assert demo.MODELS == SHIPPED


def test_no_page_goes_with_no_place_for_it() -> None:
    with pytest.raises(SystemExit):
        run("--no-page", "--out", "x.html")
