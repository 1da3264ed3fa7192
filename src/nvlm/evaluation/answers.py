"""Reading a letter, a number or a phrase out of what a model wrote."""

import re
from collections.abc import Callable, Iterable, Sequence
from string import ascii_uppercase

from nvlm.evaluation.benchmark import Graded

LETTER_INSTRUCTION = "Answer with the option's letter from the given choices directly."
PHRASE_INSTRUCTION = "Answer the question using a single word or phrase."
LETTER = "the option's letter, by MMMU's parser (Yue et al., 2024)"
WHOLE = "the whole answer"
"""What is read out of an answer, in words."""

_BOXED = re.compile(r"\\(?:answer|boxed)\{(.*?)\}")
_EDGES = ",.!?;:'"
_CUES = ("could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ", "result ")
_NUMBERS = (
    re.compile(r"-?\b\d{1,3}(?:,\d{3})+\b"),
    re.compile(r"-?\d+(?:\.\d+)?[eE][+-]?\d+"),
    re.compile(r"-?(?:\d+\.\d+|\.\d+|\d+\b)(?![eE][+-]?\d+)(?![,\d])"),
)


def letters(count: int) -> str:
    """The first letters, one for each option.

    Raises:
        ValueError: more options than letters.
    """
    if not 0 < count <= len(ascii_uppercase):
        raise ValueError(f"a question has {count} options, but they are named A to Z")
    return ascii_uppercase[:count]


def option_lines(options: Sequence[str], mark: str = "{}. {}") -> str:
    """One line for each option, such as ``A. red``."""
    return "".join(mark.format(*pair) + "\n" for pair in zip(letters(len(options)), options, strict=True))


def pick_letter(answer: str, options: Sequence[str]) -> str | None:
    """The letter of the option that an answer names, or None.

    The rules are those of the MMMU benchmark's parser in the form of NVLM's released evaluation code: a letter in
    brackets; else one between spaces; else, in an answer of more than five words, an option's own text. Of several the
    last counts. ``\\answer{}`` and ``\\boxed{}`` are opened first.

    >>> pick_letter("The answer is (B).", ["red", "blue"]), pick_letter("No idea", ["red", "blue"])
    ('B', None)
    """
    if boxed := _BOXED.search(answer):
        answer = boxed[1]
    for mark in _EDGES:
        answer = answer.replace("Answer:", "Answer: ").strip(mark)
    text = f" {answer} "
    named = dict(zip(letters(len(options)), options, strict=True))
    for form in ("{})", " {} "):
        places = {letter: text.rfind(form.format(letter)) for letter in named}
        if max(places.values()) >= 0:
            return max(places, key=lambda letter: places[letter])
    if len(text.split()) <= 5:
        return None
    places = {letter: text.lower().rfind(option.lower()) for letter, option in named.items() if option}
    found = {letter: place for letter, place in places.items() if place >= 0}
    return max(found, key=lambda letter: found[letter]) if found else None


def grade_letter(answer: str, truth: str | None, options: Sequence[str], fallback: str | None = None) -> Graded:
    """Exact match of the option's letter.

    Args:
        fallback: the letter that counts where none can be read.
    """
    letter = pick_letter(answer, options)
    return Graded(None if truth is None else float((letter or fallback) == truth), letter)


def said(answer: str) -> str | None:
    """The answer itself, or None where nothing was said."""
    return answer.strip() or None


def before(answer: str, ends: Iterable[str]) -> str:
    """What stands before the first of some marks: an answer that goes on to a question of its own ends there.

    >>> before("4. Question: and then?", ["Question:"])
    '4. '
    """
    return answer[: min((place for end in ends if (place := answer.find(end)) >= 0), default=len(answer))]


def numbered(key: str) -> Callable[[Iterable[tuple[str, str]]], list[dict[str, int | str]]]:
    """Makes the list that evaluation servers take: the question's number under ``key``, and the answer.

    >>> numbered("question_id")([("7", "red")])
    [{'question_id': 7, 'answer': 'red'}]
    """
    return lambda answers: [{key: int(id), "answer": answer} for id, answer in answers]


def readings(answer: str) -> set[str | float]:
    """What an open answer may mean: its short parts and the numbers in them, by the rules of MMMU's parser."""
    text = answer.strip().strip(".").lower()
    parts = _key_parts(text) or [text]
    numbers = [number for part in parts for pattern in _NUMBERS for number in pattern.findall(part)]
    return {form for each in [*parts, *numbers] for form in comparable(each)}


def comparable(text: str) -> list[str | float]:
    """A number to two decimals, or lower-case text; a lone character only beside a space, so that it is no chance."""
    text = text.strip()
    try:
        return [round(float(text.replace(",", "")), 2)]
    except ValueError:
        text = text.lower()
        return [f" {text}", f"{text} "] if len(text) == 1 else [text]


def _key_parts(text: str) -> list[str]:
    """The shortest end of each line that begins after one of the cues; in the last line an equals sign is one too."""
    lines = text.split("\n")
    parts = []
    for number, line in enumerate(lines, start=1):
        cues = (*_CUES, "=") if number == len(lines) else _CUES
        ends = [line.rsplit(cue, 1)[1].strip() for cue in cues if cue in line]
        if shortest := min(filter(None, ends), key=len, default=""):
            parts.append(shortest)
    return [part for part in parts if part not in _EDGES]
