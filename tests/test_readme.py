"""What the documents promise: links lead somewhere, commands and options exist, snippets compile, named files exist."""

import ast
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

import nvlm
from nvlm.cli.data import SUBCOMMANDS
from nvlm.cli.main import COMMANDS, build_parser
from nvlm.evaluation.nano_suite import TARGETS as TARGETS_OF_NANO

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "nvlm"
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *SOURCE.glob("**/*.md")], key=lambda path: path.relative_to(ROOT)
)
TARGETS = re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)

documents = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def blocks(path: Path, *languages: str) -> list[str]:
    """The code blocks of a document in one of the languages."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [code for language, code in found if language in languages]


def prose(path: Path) -> str:
    """A document without its code blocks."""
    return re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def shell_lines(path: Path) -> Iterator[list[str]]:
    """Commands in the shell blocks, without comments; a backslash joins lines."""
    for code in blocks(path, "bash", "sh", "console"):
        for line in code.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
                words = words[1:]
            if words:
                yield words


def understood(words: list[str]) -> bool:
    """Whether the arguments of `nvlm` are; `--help` and `--version` are, too."""
    try:
        build_parser(words).parse_args(words)
    except SystemExit as stop:
        return stop.code == 0
    return True


def anchors(path: Path) -> set[str]:
    """The names of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(path), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@documents
def test_relative_links_resolve(path: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)[^)]*\)|(?:src|href)=\"([^\"]+)\"", prose(path))
    for link in (first or second for first, second in links):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), f"{link} leads nowhere"
        assert target.is_relative_to(ROOT), f"{link} leaves the repository"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{link}: no such heading"


@documents
def test_commands_in_code_blocks_are_understood(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in shell_lines(path):
        if words[0].removeprefix(".venv/bin/") == "nvlm":
            assert understood(words[1:]), f"{shlex.join(words)}\n{capsys.readouterr().err}"
        elif words[0] == "make":
            goals = [word for word in words[1:] if "=" not in word and not word.startswith("-")]
            assert set(goals) <= set(TARGETS), shlex.join(words)


@documents
def test_commands_in_the_text_exist(path: Path) -> None:
    for command in re.findall(r"`(?:\.venv/bin/)?nvlm ([a-z][\w-]*)[^`]*`", prose(path)):
        assert command in COMMANDS, f"nvlm {command}"
    for target in re.findall(r"`make ([a-z][\w-]*)[^`]*`", prose(path)):
        assert target in TARGETS, f"make {target}"


@documents
def test_python_snippets_compile_and_name_what_exists(path: Path) -> None:
    for code in blocks(path, "python"):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "nvlm":
                assert node.attr in nvlm.__all__, f"nvlm.{node.attr}"
            if isinstance(node, ast.ImportFrom) and node.module == "nvlm":
                assert {alias.name for alias in node.names} <= set(nvlm.__all__), ast.unparse(node)


@documents
def test_files_named_in_the_text_are_there(path: Path) -> None:
    """From the root, from the package or from the document itself: `modeling/views.py` is a file of the package."""
    if path.name == "CHANGELOG.md":
        return  # tells of files that are gone, too
    for name in re.findall(r"`([\w./-]+/[\w./-]*\.(?:py|md|toml|txt|svg|ttf))`", prose(path)):
        places = [base / name for base in (ROOT, SOURCE, path.parent)]
        assert any(place.exists() for place in places), f"{name} does not exist"


def test_the_readme_shows_both_commands() -> None:
    lines = [words for words in shell_lines(ROOT / "README.md") if words[0] == "make"]
    assert ["make", "demo"] in lines
    assert ["make", "test"] in lines


def test_the_readme_shows_what_the_cards_measured() -> None:
    scores = [json.loads((SOURCE / f"models/nano-{each}/scores.json").read_text(encoding="utf-8")) for each in "dxh"]
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for group, (target, _) in TARGETS_OF_NANO.items():
        shares = [*(found[group]["mean"] for found in scores), target]
        assert f"| {group} | {' | '.join(f'{100 * share:.0f} %' for share in shares)} |" in text


def test_every_command_shows_an_example_in_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        leaves = [[command, leaf] for leaf in SUBCOMMANDS] if command == "data" else [[command]]
        for words in leaves:
            with pytest.raises(SystemExit):
                build_parser(words).parse_args([*words, "--help"])
            shown = capsys.readouterr().out
            assert re.search(rf"^  nvlm {' '.join(words)}\b", shown.partition("examples:")[2], flags=re.MULTILINE), (
                command
            )
            for line in re.findall(r"^  nvlm (.+?)(?:   .*)?$", shown.partition("examples:")[2], flags=re.MULTILINE):
                assert understood(shlex.split(line)), line
