r"""Final answers of worked solutions: where they stand, and when two of them are the same.

The rules are those of Minerva (Lewkowycz et al., 2022, appendix D.1) and of MATH's authors (Hendrycks et al., 2021):
units, white space and ways to write the same LaTeX do not count. On top of that numbers are compared as numbers, so
``0.5``, ``1/2`` and ``\frac{1}{2}`` are one.
"""

import re
from fractions import Fraction

_MINERVA = re.compile(r"final answer is:?(.*?)\.?\s*I hope it is correct", re.IGNORECASE | re.DOTALL)
_SENTENCE = re.compile(r"final answer is:?(.*?)\.?$", re.IGNORECASE | re.MULTILINE)
_MATHS = re.compile(r"\$+(.+?)\$+", re.DOTALL)
_WRAPPED = re.compile(r"\\(?:text|textbf|textrm|mathrm|mathbf|mbox|boxed|fbox)\s*\{([^{}]*)\}")
_FRACTION = re.compile(r"\\frac\{([^{}]+)\}\{([^{}]+)\}|(\d+)/(\d+)")
_THOUSANDS = re.compile(r"-?\d{1,3}(,\d{3})+(\.\d+)?")
_NUMBER = re.compile(r"\d+\.?\d*|\.\d+")
_SPACE = re.compile(r"(?<!\\)\\[ !,;:]|\s")
_NAME = re.compile(r"[A-Za-z]\w{0,2}(?:\([a-z]\))?=")
_ARTICLE = re.compile(r"^an? (?=[A-Za-z]{2})")

NOTHING = (r"\left", r"\right", r"\%", "%", r"^{\circ}", r"^\circ", "$", '"')
"""What is written for looks only, and signs of units."""

UNITS = r"""
    square ways integers dollars mph inches inch ft hours km units points feet minutes digits cents degrees cm gm pounds
    meters meals edges students children\s*tickets multiples
"""
_UNIT = re.compile(rf"(?<![\\A-Za-z])(?:{'|'.join(UNITS.split())})(?![A-Za-z])(\s*\^\{{?\d\}}?)?")
_METRES = re.compile(r"\\(?:text|mbox)\{\s*m\s*\}(\^\{?\d\}?)?")
"""Units beside an answer, with their powers, that Minerva's list removes."""


def final_answer(solution: str) -> str | None:
    r"""What Minerva's sentence says, else the last ``\boxed``, else a line's end after "final answer is", else None.

    >>> final_answer("Final Answer: The final answer is $x=3$. I hope it is correct."), final_answer(r"So $\boxed{7}$.")
    ('$x=3$', '7')
    """
    said = _MINERVA.findall(solution)
    found = last_boxed(solution) if not said else last_boxed(said[-1]) or said[-1].strip()
    found = found or (_SENTENCE.findall(solution) or [""])[-1].strip()
    return found or None


def last_boxed(solution: str) -> str | None:
    r"""What the last ``\boxed{}`` or ``\fbox{}`` holds, braces counted; also of ``\boxed 3``."""
    start = max(solution.rfind(r"\boxed"), solution.rfind(r"\fbox"))
    if start < 0:
        return None
    rest = re.sub(r"^\\(boxed|fbox)\s*", "", solution[start:])
    if not rest.startswith("{"):
        return re.split(r"[\s$]", rest, maxsplit=1)[0] or None
    depth = 0
    for place, mark in enumerate(rest):
        depth += (mark == "{") - (mark == "}")
        if depth == 0:
            return rest[1:place].strip() or None
    return None


def equal(answer: str, truth: str) -> bool:
    r"""Are two final answers the same?

    >>> equal(r"$\frac12$", "0.5"), equal("x = 1,000 cm", "1000"), equal("(1, 2)", "(2,1)")
    (True, True, False)
    """
    first, second = normalise(answer), normalise(truth)
    if "=" not in second:
        first = first.rpartition("=")[2]
    if first == second:
        return True
    number = as_number(first)
    return number is not None and number == as_number(second)


def normalise(answer: str) -> str:
    """An answer in one of its many forms, without units and white space."""
    answer = (last_boxed(answer) or answer).replace(r"\$", "").strip()
    maths = _MATHS.search(answer)
    text = _METRES.sub("", maths[1] if maths else _ARTICLE.sub("", answer))
    text = re.sub(r"\\[dtc]frac", r"\\frac", text.replace("{,}", ","))
    while (opened := _WRAPPED.sub(r" \1 ", text)) != text:
        text = opened
    text = _SPACE.sub("", _UNIT.sub("", text))
    for mark in NOTHING:
        text = text.replace(mark, "")
    text = _braces(text).rstrip(".")
    text = re.sub(r"^\(([A-Z])\)$", r"\1", text)
    text = text.removeprefix(named[0] if (named := _NAME.match(text)) else "")
    return text.replace(",", "") if _THOUSANDS.fullmatch(text) else text


def _braces(text: str) -> str:
    r"""Give ``\frac`` and ``\sqrt`` the braces that LaTeX lets one leave out."""
    text = re.sub(r"\\frac([^{}\\])", r"\\frac{\1}", text)
    text = re.sub(r"(\\frac\{[^{}]*\})([^{}\\])", r"\1{\2}", text)
    return re.sub(r"\\sqrt([^{}\[\\])", r"\\sqrt{\1}", text)


def as_number(text: str) -> Fraction | None:
    """A whole number, a decimal or a fraction of two of them, exactly."""
    sign, text = (-1, text[1:]) if text.startswith("-") else (1, text)
    if found := _FRACTION.fullmatch(text):
        over, under = (as_number(part) for part in found.groups() if part is not None)
        return sign * over / under if over is not None and under else None
    return sign * Fraction(text) if _NUMBER.fullmatch(text) else None
