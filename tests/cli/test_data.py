import pytest

from nvlm.cli.main import main


def test_writes_a_page_and_says_so(tmp_path, capsys):
    page = tmp_path / "page.html"
    assert main(["data", "inspect", "--task", "word", "lookup", "--count", "2", "--out", str(page)]) == 0
    assert capsys.readouterr().out == f"4 samples written to {page}\n"
    text = page.read_text(encoding="utf-8")
    assert text.count("<article>") == 4
    assert all(f"<h3>NVLM-{name}</h3>" in text for name in "DXH")
    assert "validation/word/1" in text


def test_one_architecture_and_another_split(tmp_path):
    page = tmp_path / "page.html"
    assert main(["data", "inspect", "--task", "caption", "--arch", "h", "--split", "train", "--out", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert "train/caption/0" in text
    assert "<h3>NVLM-D</h3>" not in text


def test_the_same_command_writes_the_same_page(tmp_path):
    pages = [tmp_path / "one.html", tmp_path / "two.html"]
    for page in pages:
        main(["data", "inspect", "--task", "receipt", "--arch", "x", "--out", str(page)])
    assert pages[0].read_bytes() == pages[1].read_bytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--task", "nonsense"], "invalid choice: 'nonsense'"),
        (["--count", "0"], "'0' is no whole number above 0"),
        (["--arch", "z"], "invalid choice: 'z'"),
        (["--split", "all"], "invalid choice: 'all'"),
    ],
)
def test_wrong_arguments_are_named(arguments, said, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["data", "inspect", *arguments])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_one_line(tmp_path, capsys):
    page = tmp_path / "no" / "such" / "folder.html"
    assert main(["data", "inspect", "--task", "copy", "--out", str(page)]) == 2
    assert capsys.readouterr().err == f"nvlm: {page}: No such file or directory\n"


def test_the_help_shows_examples(capsys):
    for words in (["data", "--help"], ["data", "inspect", "--help"]):
        with pytest.raises(SystemExit):
            main(words)
        assert "nvlm data inspect --task table receipt --count 5" in capsys.readouterr().out


def test_a_sub_command_is_needed(capsys):
    with pytest.raises(SystemExit):
        main(["data"])
    assert "COMMAND" in capsys.readouterr().err
