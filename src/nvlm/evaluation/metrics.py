"""Metrics of single answers: VQA accuracy, relaxed match, ANLS."""

import re
from collections.abc import Sequence

NUMBER_WORDS = {"none": "0"} | {
    word: str(number)
    for number, word in enumerate(
        ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    )
}
ARTICLES = ("a", "an", "the")
CONTRACTED = """
    ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't he'd he'd've
    he's how'd how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've might've mustn't must've needn't not've
    o'clock oughtn't 'ow's'at shan't she'd've should've shouldn't shouldn't've somebody'd've somebody'll somebody's
    someone'd someone'd've someone'll someone's something'd something'd've something'll that's there'd there'd've
    there're there's they'd they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll what're what's
    what've when's where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't would've
    wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll you're you've
"""
CONTRACTIONS = {
    word[:place] + word[place + 1 :]: word
    for word in CONTRACTED.split()
    for place, mark in enumerate(word)
    if mark == "'"
}
"""Words that lost an apostrophe → the word."""

PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
_DIGIT_COMMA = re.compile(r"\d,\d")
_FULL_STOP = re.compile(r"\.(?!\d)")


def vqa_normalise(text: str) -> str:
    """Text as VQA compares it (Antol et al., 2015; the rules of the published VQA evaluation).

    Lower case; punctuation becomes a space, or nothing where it touches a space or digits have commas; number words up
    to ten become digits; articles go; lost apostrophes come back.

    >>> vqa_normalise("The two dogs, dont ask!")
    "2 dogs don't ask"
    """
    given = text = " ".join(text.split())
    for mark in PUNCTUATION:
        joins = f"{mark} " in given or f" {mark}" in given or _DIGIT_COMMA.search(given)
        text = text.replace(mark, "" if joins else " ")
    words = [NUMBER_WORDS.get(word, word) for word in _FULL_STOP.sub("", text).lower().split()]
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in ARTICLES)


def vqa_accuracy(answer: str, truths: Sequence[str]) -> float:
    """VQA accuracy: min(matches / 3, 1), averaged over the people's answers, each left out once (Goyal et al., 2017).

    >>> vqa_accuracy("red", ["red"] * 3 + ["blue"] * 7)
    0.9
    """
    said, given = vqa_normalise(answer), [vqa_normalise(truth) for truth in truths]
    matches = sum(truth == said for truth in given)
    if len(given) == 1:
        return float(matches)
    total = sum(min(1.0, (matches - (truth == said)) / 3) for truth in given)
    return round(total / len(given), 9)


def relaxed_match(answer: str, truth: str, tolerance: float = 0.05) -> bool:
    """ChartQA's relaxed match (Masry et al., 2022): numbers to 5 % of the truth, anything else exactly.

    >>> relaxed_match("$1,040", "1000"), relaxed_match("1060", "1000"), relaxed_match("Japan.", "japan")
    (True, False, True)
    """
    said, true = as_number(answer), as_number(truth)
    if said is None or true is None:
        return vqa_normalise(answer) == vqa_normalise(truth)
    return abs(said - true) <= tolerance * abs(true)


def as_number(text: str) -> float | None:
    """A number without its per cent or currency sign and its thousands commas, or None."""
    plain = text.strip().rstrip(".%").lstrip("$€£").strip().replace(",", "")
    return float(plain) if re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", plain, re.IGNORECASE) else None


def anls(answer: str, truths: Sequence[str], threshold: float = 0.5) -> float:
    """Average normalised Levenshtein similarity (Biten et al., 2019): the best over the truths, 0 below one half.

    Case and white space do not count.

    >>> anls("The Eiffel tower", ["eiffel tower", "the eiffel tower"]), anls("London", ["Paris"])
    (1.0, 0.0)
    """
    said = " ".join(answer.lower().split())
    best = 0.0
    for truth in truths:
        true = " ".join(truth.lower().split())
        longest = max(len(said), len(true))
        distance = edit_distance(said, true) / longest if longest else 0.0
        best = max(best, 1 - distance if distance < threshold else 0.0)
    return best


def edit_distance(first: str, second: str) -> int:
    """Insertions, deletions and replacements that make one text of the other (Levenshtein, 1966)."""
    row = list(range(len(second) + 1))
    for number, mark in enumerate(first, start=1):
        above, row[0] = row[0], number
        for place, other in enumerate(second, start=1):
            above, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, above + (mark != other))
    return row[-1]
