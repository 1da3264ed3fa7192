"""The demo in a terminal: a table where there is room, else a block per question. Nothing is said by colour alone."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nvlm.inference.demo import Answer, Round, Standing
from nvlm.inference.terminal import visible

ROOM_FOR_TABLE = 96
PLAIN_WIDTH = 120


def print_rounds(console: Console, names: Sequence[str], rounds: Sequence[Round]) -> None:
    """Every question with all answers and the truth."""
    if console.width >= ROOM_FOR_TABLE:
        console.print(_table(console, names, rounds))
    else:
        for number, each in enumerate(rounds, start=1):
            console.print(_block(console, names, number, each))


def print_standings(console: Console, standings: Sequence[Standing]) -> None:
    """The summary, and which answers are wrong."""
    if console.width >= ROOM_FOR_TABLE:
        console.print(_summary(console, standings))
    for each in standings:
        if console.width < ROOM_FOR_TABLE:
            console.print(_short_summary(each))
        questions = ", ".join(map(str, each.wrong))
        wrong = f"wrong on question{'s' * (len(each.wrong) > 1)} {questions}" if each.wrong else "nothing wrong"
        console.print(Text(f"{each.name}: {wrong}"))


def plain(text: str) -> str:
    """An answer on one line, without control characters."""
    return visible(" / ".join(text.split("\n")).replace("\t", " ")) or "(nothing)"


def _table(console: Console, names: Sequence[str], rounds: Sequence[Round]) -> Table:
    table = Table(
        box=_lines(console),
        show_lines=True,
        title="The same questions to every model (of an answer with a colon, what follows it counts)",
        title_justify="left",
        expand=True,
    )
    table.add_column("#", justify="right")
    table.add_column("question", ratio=3)
    for name in names:
        table.add_column(name, ratio=2)
    table.add_column("truth", ratio=2)
    for number, each in enumerate(rounds, start=1):
        question = Text(f"{each.exhibit.title}\n", style="bold") + Text(
            _fit(console, each.exhibit.question), style="not bold"
        )
        answers = [_marked(console, answer) for answer in each.answers]
        table.add_row(str(number), question, *answers, Text(_fit(console, each.exhibit.truth)))
    return table


def _block(console: Console, names: Sequence[str], number: int, each: Round) -> Text:
    wide = max(map(len, [*names, "truth"]))
    block = Text(f"{number}. {each.exhibit.title}\n", style="bold")
    block.append(f"{_fit(console, each.exhibit.question)}\n", style="not bold")
    for name, answer in zip(names, each.answers, strict=True):
        block.append(f"  {name:{wide}}  ", style="not bold").append_text(_marked(console, answer)).append("\n")
    return block.append(f"  {'truth':{wide}}  {_fit(console, each.exhibit.truth)}\n", style="not bold")


def _summary(console: Console, standings: Sequence[Standing]) -> Table:
    table = Table(box=_lines(console), title="Summary (tokens: median per picture)", title_justify="left")
    table.add_column("model")
    for column in ("right", "image tokens in sequence", "in memory", "prompt tokens", "ms per answer (median)"):
        table.add_column(column, justify="right")
    for each in standings:
        table.add_row(
            f"{each.name} ({each.architecture}, {each.parameters / 1e6:.1f} M)",
            f"{each.right} of {each.asked}",
            f"{each.in_sequence:g}",
            f"{each.in_memory:g}",
            f"{each.prompt_tokens:g}",
            f"{each.milliseconds:.0f}",
        )
    return table


def _short_summary(each: Standing) -> Text:
    return Text(
        f"{each.name} ({each.architecture}): {each.right} of {each.asked} right, "
        f"{each.milliseconds:.0f} ms per answer, per picture {each.in_sequence:g} image tokens in the sequence and "
        f"{each.in_memory:g} in memory"
    )


def _marked(console: Console, answer: Answer) -> Text:
    mark, word, style = ("\u2713", "right", "green") if answer.right else ("\u2717", "wrong", "red")
    shown = mark if _fit(console, mark) == mark else f"{word}:"
    return Text(f"{shown} {_fit(console, plain(answer.text))}", style=style)


def _fit(console: Console, text: str) -> str:
    """What the output's encoding cannot write becomes a question mark."""
    return text.encode(console.encoding, "replace").decode(console.encoding)


def _lines(console: Console) -> box.Box:
    return box.ROUNDED if console.is_terminal else box.ASCII
