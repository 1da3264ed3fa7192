"""How a task is asked in training (paper, appendix E and figures 11 and 12).

Where a task has several wordings, a sample's id decides: the same one every time, and all about equally often. The
wordings of captions and transcriptions are ours; the paper shows their kind, and the short answers' and the letters'
wording is that of the released training code.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Literal, TypeAlias, TypeVar

Stage: TypeAlias = Literal["pretrain", "sft"]
STAGES: tuple[Stage, ...] = ("pretrain", "sft")
T = TypeVar("T")

CAPTION = {
    "pretrain": (
        "Describe the image briefly.",
        "Give a one-sentence caption for the image.",
        "Write a short caption.",
        "What does the image show, in one sentence?",
    ),
    "sft": (
        "Describe the image briefly.",
        "Give a one-sentence caption for the image.",
        "Summarise what the picture shows in a sentence.",
        "Write a concise description of the picture.",
        "What does the image show, in one sentence?",
    ),
}
SHORT_ANSWER = {
    "pretrain": ("Question: {} Short answer:", "Question: {} Answer:"),
    "sft": ("{}", "{}\nAnswer the question using a single word or phrase."),
}
ANSWER_FROM_TEXT = ("{}", "{}\nAnswer with text that stands in the image.")
LETTER = "{}\n{}\nAnswer with the option's letter from the given choices directly."
TRANSCRIPTION = (
    "Read all text in the image.",
    "Transcribe the text of the image.",
    "What does the text in the image say? Write all of it.",
)
TRANSCRIPTION_WITH_BOXES = (
    "Read all text in the image, and say where each piece stands.",
    "Transcribe the text of the image with its bounding boxes.",
    "Find every piece of text in the image and its place.",
)
TEXT_AT = ("What does the text at {} say?", "Read the text in this region: {}.", "{}. Text:")
PLACE_OF_TEXT = ('Where does "{}" stand in the image?', 'Give the region of the text "{}".')
FORMULA = ("Write the formula in the image as LaTeX.", "Convert the image to LaTeX.")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def pick(options: Sequence[T], id: str) -> T:
    """One of several, decided by a sample's id."""
    if not options:
        raise ValueError("there is nothing to pick from; is the list of answers empty?")
    return options[int.from_bytes(blake2b(id.encode(), digest_size=8).digest(), "big") % len(options)]


def caption(stage: Stage, id: str) -> str:
    """The request for a short description."""
    return pick(CAPTION[stage], id)


def short_answer(question: str, stage: Stage, id: str) -> str:
    """A question that a word or a phrase answers.

    >>> short_answer("What is it?", "pretrain", "vqav2/1")
    'Question: What is it? Short answer:'
    """
    return pick(SHORT_ANSWER[stage], id).format(question)


def answer_from_text(question: str, stage: Stage, id: str) -> str:
    """A question about a document, which its own text answers."""
    return pick(ANSWER_FROM_TEXT if stage == "sft" else SHORT_ANSWER[stage], id).format(question)


def letters(question: str, choices: Sequence[str]) -> str:
    """A question with its choices in lines of their own, to be answered by a letter.

    Raises:
        ValueError: more choices than letters, or fewer than two.

    >>> print(letters("Which is red?", ["sky", "blood"]))
    Which is red?
    A. sky
    B. blood
    Answer with the option's letter from the given choices directly.
    """
    if not 2 <= len(choices) <= len(LETTERS):
        raise ValueError(f"a question has {len(choices)} choices; there can be 2 to {len(LETTERS)}")
    listed = "\n".join(f"{letter}. {choice}" for letter, choice in zip(LETTERS, choices, strict=False))
    return LETTER.format(question, listed)


def transcription(id: str, boxes: bool = False) -> str:
    """The request for all text, with or without its places."""
    return pick(TRANSCRIPTION_WITH_BOXES if boxes else TRANSCRIPTION, id)


def box(sides: Sequence[float], width: int, height: int) -> str:
    """A region (left, top, right, bottom) in thousandths of the picture (paper, figure 11: integers below 1000).

    >>> box([10, 20, 110, 60], width=200, height=80)
    '<box>(50,250),(550,750)</box>'
    """
    left, top, right, bottom = sides
    return f"<box>{_corners([(left, top), (right, bottom)], width, height)}</box>"


def quad(points: Sequence[tuple[float, float]], width: int, height: int) -> str:
    """A region with four corners, which may stand askew.

    >>> quad([(0, 0), (100, 8), (100, 40), (0, 32)], width=200, height=80)
    '<quad>(0,0),(500,100),(500,500),(0,400)</quad>'
    """
    return f"<quad>{_corners(points, width, height)}</quad>"


def located(text: str, region: str) -> str:
    """A piece of text with its region."""
    return f"<ref>{text}</ref>{region}"


def _corners(points: Sequence[tuple[float, float]], width: int, height: int) -> str:
    return ",".join(f"({_thousandth(x, width)},{_thousandth(y, height)})" for x, y in points)


def _thousandth(at: float, whole: int) -> int:
    if whole < 1:
        raise ValueError(f"the picture is said to be {whole} pixels wide or high")
    return min(999, max(0, round(1000 * at / whole)))
