"""The `nvlm` command: its table, its errors, its exit codes."""

import argparse
import subprocess
import sys
import types
from collections.abc import Callable

import pytest

from nvlm import __version__
from nvlm.cli.main import COMMANDS, main

Run = Callable[[argparse.Namespace], int]


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Callable[[Run], dict[str, tuple[str, str]]]:
    """Makes a table with one command, `fake`, which does what is given, and one whose module does not exist."""

    def make(run: Run) -> dict[str, tuple[str, str]]:
        module = types.ModuleType("fake_command")
        module.add_arguments = lambda parser: parser.add_argument("--number", type=int, default=3)  # type: ignore[attr-defined]
        module.run = run  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "fake_command", module)
        return {"fake": ("fake_command", "do what the test says"), "absent": ("no_such_module", "never imported")}

    return make


def raising(error: BaseException) -> Run:
    def run(args: argparse.Namespace) -> int:
        raise error

    return run


def test_a_command_gets_its_arguments_and_gives_the_exit_code(table):
    assert main(["fake", "--number", "7"], table(lambda args: args.number)) == 7
    assert main(["fake"], table(lambda args: args.number)) == 3


def test_only_the_called_command_is_imported(table, capsys):
    assert main([], table(lambda args: 0)) == 0
    shown = capsys.readouterr().out
    assert "do what the test says" in shown
    assert "absent" in shown


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"nvlm {__version__}\n"


def test_an_unknown_command_is_told_with_the_nearest_one(table, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["fak"], table(lambda args: 0))
    assert stop.value.code == 2
    assert "no command 'fak'; did you mean fake? (commands: fake, absent)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            ValueError("7 slots but 6 features;\n  were they prepared differently?"),
            "7 slots but 6 features; were they prepared differently?",
        ),
        (ValueError(), "ValueError"),
        (FileNotFoundError("the folder x does not exist"), "the folder x does not exist"),
        (FileNotFoundError(2, "No such file or directory", "x.png"), "x.png: No such file or directory"),
        (PermissionError(13, "Permission denied", "x.png"), "x.png: Permission denied"),
    ],
)
def test_what_the_user_can_mend_is_one_line(table, capsys, error, line):
    assert main(["fake"], table(raising(error))) == 2
    assert capsys.readouterr().err == f"nvlm: {line}\n"


@pytest.mark.parametrize("words", [["--debug", "fake"], ["fake", "--debug"]])
def test_debug_shows_where_it_came_from(table, capsys, words):
    assert main(words, table(raising(ValueError("wrong")))) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("Traceback")
    assert shown.endswith("nvlm: wrong\n")


def test_our_own_mistakes_are_not_hidden(table):
    with pytest.raises(ZeroDivisionError):
        main(["fake"], table(lambda args: 1 // 0))


def test_ctrl_c_ends_with_130(table, capsys):
    assert main(["fake"], table(raising(KeyboardInterrupt()))) == 130
    assert capsys.readouterr().err == "\nnvlm: interrupted\n"


def test_a_reader_that_goes_away_is_no_error():
    """As in `nvlm … | head`: more than a pipe holds, and nobody reads it."""
    script = """
import sys, types
from nvlm.cli.main import main
module = types.ModuleType("talk")
module.add_arguments = lambda parser: None
module.run = lambda args: print("word " * 100_000) or 0
sys.modules["talk"] = module
sys.exit(main(["talk"], {"talk": ("talk", "talks")}))
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    complaint = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), complaint) == (141, b"")


def test_help_does_not_load_pytorch():
    script = f"""
import sys
from nvlm.cli.main import build_parser
for command in {[*COMMANDS]!r}:
    build_parser([command]).format_help()
print(sorted({{"torch", "transformers"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
