"""Visual Genome's questions, picture by picture (Krishna et al., 2017).

``question_answers.json``: ``[{"id", "qas": [{"qa_id", "image_id", "question", "answer"}]}]``; the pictures lie in the
two folders ``VG_100K`` and ``VG_100K_2``.
"""

from collections.abc import Iterator
from pathlib import Path

from nvlm.data import prompts
from nvlm.data.original import Original
from nvlm.data.reading import Row, elements
from nvlm.data.sources.source import Source
from nvlm.data.sources.turns import dialogue

FOLDERS = ("VG_100K", "VG_100K_2")


def rows(source: Source) -> Iterator[Row]:
    """The pictures that have questions."""
    return (row for row in elements(source.one("question_answers.json")) if row["qas"])


def sample(row: Row, source: Source) -> Original:
    """All questions about a picture, in one conversation."""
    turns = [
        (prompts.short_answer(qa["question"], source.stage, str(qa["qa_id"])), qa["answer"].strip().removesuffix("."))
        for qa in row["qas"]
    ]
    return Original(str(row["id"]), dialogue(turns), (_file(str(row["id"]), source),))


def _file(id: str, source: Source) -> Path:
    places = [source.picture(f"{folder}/{id}.jpg") for folder in FOLDERS]
    return next((path for path in places if path.is_file()), places[0])
