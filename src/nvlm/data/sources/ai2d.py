"""AI2D: multiple-choice questions about science diagrams (Kembhavi et al., 2016).

``questions/NAME.png.json``: ``{"imageName", "questions": {text: {"questionId", "answerTexts", "correctAnswer"}}}``; the
diagrams lie in ``images``. The test split (``ai2d_test_ids.csv``) is left out where that file is there.
"""

import json
from collections.abc import Iterator

from nvlm.data import prompts
from nvlm.data.original import Original
from nvlm.data.reading import Row
from nvlm.data.sources.source import Source
from nvlm.data.sources.turns import dialogue

HELD_OUT = "ai2d_test_ids.csv"


def rows(source: Source) -> Iterator[Row]:
    """The diagrams that have questions."""
    listed = source.folder / HELD_OUT
    held_out = set(listed.read_text(encoding="utf-8").split()) if listed.is_file() else set()
    for path in source.find("questions/*.json"):
        if path.name.partition(".")[0] not in held_out:
            row = json.loads(path.read_text(encoding="utf-8"))
            if row["questions"]:
                yield row


def sample(row: Row, source: Source) -> Original:
    """All questions about a diagram, in one conversation."""
    turns = [
        (prompts.letters(text, question["answerTexts"]), prompts.LETTERS[question["correctAnswer"]])
        for text, question in row["questions"].items()
    ]
    return Original(row["imageName"], dialogue(turns), (source.picture(f"images/{row['imageName']}"),))
