"""How MathVista's short answers are made comparable: by NVLM's rules, or after a judge read them."""

import re

from nvlm.data.reading import Row
from nvlm.evaluation.answers import letters, option_lines
from nvlm.evaluation.metrics import edit_distance, vqa_normalise

_DECIMAL = re.compile(r"(\d+)\.(\d+)")
_ANSWER_IS = re.compile(r"answer is (-*\d+\.*\d*)")

JUDGE = """\
Read the answer out of a response to a question. Write the answer only: the letter of an option, or a number, list or
phrase as the question asks for it. Write nothing else.

Question: Which number is missing?
Response: The number missing in the sequence is 14.
Answer: 14

Question: What fraction of the shape is blue?
(A) 3/11
(B) 8/11
Response: Eight of the eleven parts are blue, so it is (B) 8/11.
Answer: B

Question: {question}
{options}Response: {response}
Answer:"""


def plain_number(text: str, find: bool = False) -> str:
    """Text by VQA's normalisation, decimals cut to two (all zeros away), no per cent sign, no full stop at the end.

    Args:
        find: take the number after "answer is" out of a sentence.

    >>> plain_number("3.14159"), plain_number("12.00"), plain_number("So the answer is 7", find=True)
    ('3.14', '12', '7')
    """
    text = vqa_normalise(text)
    if decimal := _DECIMAL.fullmatch(text):
        whole, digits = decimal.groups()
        text = f"{whole}.{digits[:2]}" if int(digits) else whole
    text = text.replace("%", "").strip().removesuffix(".")
    found = _ANSWER_IS.search(text) if find and re.search("[a-z]", text) else None
    return found[1] if found else text


def judge_prompt(reference: Row, answer: str) -> str:
    """What the judge is asked."""
    options = option_lines(reference["options"], "({}) {}") if reference["options"] else ""
    return JUDGE.format(question=reference["question"], options=options, response=answer.strip())


def as_wanted(text: str, reference: Row) -> str | None:
    """A short answer in the form of the truth: an option's letter, a whole number, or one of the wanted precision.

    An option that is not named by its letter is the one that looks most like the text (Lu et al., 2024).
    """
    text = text.strip()
    options = reference["options"]
    if options:
        named = letters(len(options))
        bracketed = re.search(r"\(([a-zA-Z])\)", text)
        letter = bracketed[1].upper() if bracketed else text
        if letter in list(named):
            return letter
        distances = [edit_distance(text, option) for option in options]
        return named[distances.index(min(distances))]
    try:
        if reference["type"] == "integer":
            return str(int(float(text)))
        if reference["type"] == "float":
            return str(round(float(text), int(reference["precision"] or 0)))
    except (ValueError, OverflowError):
        return None
    return text or None
