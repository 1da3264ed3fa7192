"""Everything that a drawing shows, in words, from its marks: a last turn of training pictures.

The paper pretrains on captions and whole documents (table 4). One short answer teaches a small model to read one word
of a picture; this turn teaches it to read them all.
"""

from dataclasses import replace
from itertools import groupby

from nvlm.data.synthetic.canvas import Box, Mark
from nvlm.data.synthetic.problem import Problem, Turn

WRITTEN, DRAWN = "Transcribe the text.", "Name the shapes."


def with_transcript(problem: Problem) -> Problem:
    """The problem with a turn about all that its picture shows; as it is if it shows one thing or nothing."""
    marks = [] if problem.drawing is None else problem.drawing.marks
    written = [mark for mark in marks if mark.character is not None]
    question, answer = (WRITTEN, transcript(written)) if written else (DRAWN, listing(marks))
    if any(turn.answer == answer for turn in problem.turns):
        return problem
    return replace(problem, turns=[*problem.turns, Turn("transcript", question, answer)])


def transcript(marks: list[Mark]) -> str:
    """Written words line by line from the top; words stand on one line if their middles differ by under half a word."""
    words = sorted(_words(marks), key=lambda word: _middle(word[1]))
    lines: list[list[tuple[str, Box]]] = []
    for text, box in words:
        if lines and _middle(box) - _middle(lines[-1][0][1]) < (box[3] - box[1]) / 2:
            lines[-1].append((text, box))
        else:
            lines.append([(text, box)])
    return "\n".join(" ".join(text for text, _ in sorted(line, key=lambda word: word[1][0])) for line in lines)


def listing(marks: list[Mark]) -> str:
    """Drawn shapes from left to right."""
    return ", ".join(f"{mark.colour} {mark.word}" for mark in sorted(marks, key=lambda mark: mark.box[0] + mark.box[2]))


def _words(marks: list[Mark]) -> list[tuple[str, Box]]:
    """The words of characters in the order in which they were written, each with its box."""
    number = 0
    numbers = [number := number + (mark.place == 0) for mark in marks]
    found = []
    for _, group in groupby(zip(numbers, marks, strict=True), key=lambda pair: pair[0]):
        boxes = [mark for _, mark in group]
        left, top, right, bottom = zip(*(mark.box for mark in boxes), strict=True)
        found.append((boxes[0].word, (min(left), min(top), max(right), max(bottom))))
    return found


def _middle(box: Box) -> float:
    return (box[1] + box[3]) / 2
