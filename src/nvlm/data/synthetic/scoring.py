"""Scores of the synthetic tasks: exact match of the conclusion, and for captions the share of what is named right."""

import re

from nvlm.data.synthetic.words import kinds


def conclusion(answer: str) -> str:
    """An answer without the evidence before it (`Turn.explained`): what follows the last colon with a space.

    >>> conclusion("89: Germany"), conclusion("Germany"), conclusion("12:30")
    ('Germany', 'Germany', '12:30')
    """
    return answer.rpartition(": ")[2]


def is_right(answer: str, truth: str) -> bool:
    """Exact match of the conclusion but for case, white space and a full stop at the end.

    >>> is_right(" 12. ", "12"), is_right("root: 12", "12"), is_right("twelve", "12")
    (True, True, False)
    """
    return _plain(conclusion(answer)) == _plain(truth)


def caption_share(answer: str, truth: str) -> float:
    """Share of the truth's claims (coloured shapes, relation) that the answer makes, over the longer list of the two.

    A coloured shape counts twice, once for the shape and once for its colour; a relation counts if both things that it
    relates are named in the true order.

    >>> caption_share("a red circle", "a red circle")
    1.0
    >>> caption_share("a red ring above a blue square", "a red circle above a blue square")
    0.6
    """
    said, true = _claims(answer), _claims(truth)
    shared = sum(min(said.count(claim), true.count(claim)) for claim in set(true))
    return shared / max(len(said), len(true))


def score(task: str, answer: str, truth: str) -> float:
    """The score of one answer between 0 and 1."""
    return caption_share(answer, truth) if task == "scene/caption" else float(is_right(answer, truth))


def _plain(text: str) -> str:
    return " ".join(text.split()).rstrip(".").casefold()


def _claims(caption: str) -> list[str]:
    colours, shapes = "|".join(kinds()["colours"]), "|".join(kinds()["shapes"])
    things = [(found[1], found[2]) for found in re.finditer(rf"\b({colours}) ({shapes})\b", _plain(caption))]
    claims = [f"colour {colour}" for colour, _ in things] + [f"shape {colour} {shape}" for colour, shape in things]
    relation = re.search(r"left of|above", _plain(caption))
    if relation and len(things) == 2:
        claims.append(f"{things[0]} {relation[0]} {things[1]}")
    return claims or ["nothing"]
