"""Texts as pictures: GSM8K, MetaMathQA and SQuAD (rendered), of which the paper names no renderer; this one is ours.

The option ``layout`` says what the files are:

* ``problems`` – rows with a ``problem`` that is drawn and an ``answer``, fields that options name;
* ``squad`` – ``{"data": [{"title", "paragraphs": [{"context", "qas": [{"id", "question", "answers": [{"text"}]}]}]}]}``
  – the paragraph is drawn, and its questions are asked.
"""

import io
import re
from collections.abc import Iterator

from PIL import Image, ImageDraw, ImageFont

from nvlm.data import prompts
from nvlm.data.original import Original
from nvlm.data.reading import Row, elements, objects
from nvlm.data.sources.source import Source
from nvlm.data.sources.turns import ask, dialogue
from nvlm.data.synthetic.canvas import FONTS, load_font

REQUESTS = (
    "Solve the problem in the image.",
    "Answer the question in the image, step by step.",
    "What is the answer to the problem that the image shows?",
)
CALCULATION = re.compile(r"<<[^<>]*>>")
WIDTHS, SIZES, MARGIN, LEADING = (448, 640, 896), (16, 20, 24), 24, 1.4


def rows(source: Source) -> Iterator[Row | ValueError]:
    """The problems, or the paragraphs that have questions with an answer."""
    files = source.find(source.options.get("files", "*.json|*.jsonl"))
    if source.options["layout"] == "problems":
        yield from objects(files)
        return
    for path in files:
        for article in elements(path, "data"):
            for number, paragraph in enumerate(article["paragraphs"]):
                yield {"id": f"{article['title']}/{number}", **paragraph}


def sample(row: Row, source: Source) -> Original:
    """The drawn text with what is asked about it."""
    options = source.options
    if options["layout"] == "problems":
        problem, answer = row[options["problem"]], row[options["answer"]]
        answer = CALCULATION.sub("", answer).replace("####", "Answer:")
        return Original("", ask(prompts.pick(REQUESTS, problem), answer), (draw(problem, problem),))
    turns = [
        (prompts.answer_from_text(qa["question"], source.stage, qa["id"]), qa["answers"][0]["text"])
        for qa in row["qas"]
        if qa["answers"]
    ]
    return Original(row["id"], dialogue(turns), (draw(row["context"], row["id"]),))


def draw(text: str, id: str) -> bytes:
    """A text as a PNG, black on white; font, size and width are decided by the id.

    Raises:
        ValueError: there is nothing to draw.
    """
    if not text.strip():
        raise ValueError("there is no text to draw")
    font = load_font(prompts.pick(FONTS, f"{id}/font"), prompts.pick(SIZES, f"{id}/size"))
    width = prompts.pick(WIDTHS, f"{id}/width")
    lines = [line for paragraph in text.splitlines() for line in _wrapped(paragraph, font, width - 2 * MARGIN)]
    step = round(font.size * LEADING)
    image = Image.new("L", (width, 2 * MARGIN + step * len(lines)), 255)
    pen = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        pen.text((MARGIN, MARGIN + number * step), line, fill=0, font=font)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _wrapped(paragraph: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """The lines of a paragraph that are at most ``width`` pixels wide, where its words allow that."""
    lines = [""]
    for word in paragraph.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
