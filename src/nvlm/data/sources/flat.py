"""One question, one picture, one answer in a row: the form of most sets; the manifest says what they call what.

Rows come from a JSON list (``under`` a key or not), from a JSON object of rows (``entries``; its names are the field
``key``), from JSON lines, Parquet or Arrow. The options:

* ``files``: which files; ``under``, ``entries``: see above; ``only``: ``field=value``, other rows are left out;
* ``id``: its field; ``picture``: the path of the picture, with fields in braces, or ``cell``: the field that holds it;
* ``question`` and ``answer``, or ``caption``: fields; ``request``: words in place of a question, with fields in braces;
* ``values``: what answers mean, as ``0=No|1=Yes``; ``choices``: the field of a list, of which ``answer`` is the index,
  the letter or the text;
* ``answered``: ``short`` (a word or phrase, the default), ``document`` (by its text) or ``free`` (as it comes).
"""

from collections.abc import Iterator, Sequence
from typing import Any

from nvlm.data import prompts
from nvlm.data.original import Original, Picture
from nvlm.data.reading import Row, entries, objects
from nvlm.data.sample import Message
from nvlm.data.sources import llava
from nvlm.data.sources.source import Source
from nvlm.data.sources.turns import ask


def rows(source: Source) -> Iterator[Row | ValueError]:
    """The rows of the files, less those that ``only`` leaves out."""
    options = source.options
    files, under = source.find(options.get("files", "*.json|*.jsonl")), options.get("under")
    if options.get("entries"):
        found: Iterator[Row | ValueError] = ({"key": key, **row} for path in files for key, row in entries(path, under))
    else:
        found = objects(files, under)
    field, _, wanted = options.get("only", "").partition("=")
    return (row for row in found if not field or isinstance(row, ValueError) or str(row.get(field)) == wanted)


def sample(row: Row, source: Source) -> Original:
    """The question with one of its answers."""
    pictures = _pictures(row, source)
    if "id" in source.options:
        id = str(row[source.options["id"]])
        return Original(id, _messages(row, source, id, len(pictures)), pictures)
    asked = next(str(row[source.options[kind]]) for kind in ("question", "caption", "answer") if kind in source.options)
    return Original("", _messages(row, source, asked, len(pictures)), pictures)


def _pictures(row: Row, source: Source) -> tuple[Picture, ...]:
    if "cell" in source.options:
        return (llava.picture(row[source.options["cell"]], source),)
    if "picture" in source.options:
        return (source.picture(source.options["picture"].format_map(row)),)
    return ()


def _messages(row: Row, source: Source, id: str, pictures: int) -> list[Message]:
    options = source.options
    if "caption" in options:
        return ask(prompts.caption(source.stage, id), one(row[options["caption"]], id), pictures)
    asked = options["request"].format_map(row) if "request" in options else str(row[options["question"]])
    given = row[options["answer"]]
    if row.get(options.get("choices", "")):
        choices = [str(choice) for choice in row[options["choices"]]]
        return ask(prompts.letters(asked, choices), letter(given, choices), pictures)
    meanings = dict(pair.split("=", 1) for pair in options["values"].split("|")) if "values" in options else {}
    answer = one(given, id)
    question = asked if "request" in options else worded(asked, source, id)
    return ask(question, meanings.get(answer, answer), pictures)


def worded(question: str, source: Source, id: str) -> str:
    """The question as ``answered`` has it asked."""
    wording = source.options.get("answered", "short")
    if wording == "free":
        return question
    return (prompts.answer_from_text if wording == "document" else prompts.short_answer)(question, source.stage, id)


def one(given: Any, id: str) -> str:
    """The answer; of several annotators' answers one, the more likely the more of them gave it.

    >>> one([{"answer": "red"}, {"answer": "red"}], "1"), one(3, "1")
    ('red', '3')
    """
    if isinstance(given, list):
        given = prompts.pick(given, f"{id}/answer")  # apart from the wording, which the id decides too
    if isinstance(given, dict):
        given = given["answer"]
    if given is None or isinstance(given, list | dict) or not str(given).strip():
        raise ValueError(f"the answer is {given!r}")
    return str(given)


def letter(given: Any, choices: Sequence[str]) -> str:
    """The letter of the right choice, which is given as an index, as a letter or as the choice's text.

    >>> letter(1, ["sky", "blood"]), letter("b", ["sky", "blood"]), letter("blood", ["sky", "blood"])
    ('B', 'B', 'B')
    """
    text = str(given).strip()
    if text in choices:
        return prompts.LETTERS[choices.index(text)]
    place = int(text) if text.isdecimal() else prompts.LETTERS.find(text.upper()) if len(text) == 1 else -1
    if not 0 <= place < len(choices):
        raise ValueError(f"the answer {given!r} is none of the {len(choices)} choices")
    return prompts.LETTERS[place]
