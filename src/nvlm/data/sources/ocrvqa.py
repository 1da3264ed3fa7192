"""OCR-VQA: questions about book covers (Mishra et al., 2019).

``dataset.json``: ``{id: {"imageURL", "split", "questions": […], "answers": […]}}``, split 1 for training; the covers
lie in ``images`` under their ids.
"""

from collections.abc import Iterator
from pathlib import PurePosixPath

from nvlm.data import prompts
from nvlm.data.original import Original
from nvlm.data.reading import Row, entries
from nvlm.data.sources.source import Source
from nvlm.data.sources.turns import dialogue

TRAINING = 1


def rows(source: Source) -> Iterator[Row]:
    """The covers of the training split."""
    found = entries(source.one("dataset.json"))
    return ({"id": id, **row} for id, row in found if row["split"] == TRAINING)


def sample(row: Row, source: Source) -> Original:
    """All questions about a cover, in one conversation."""
    ending = PurePosixPath(row["imageURL"]).suffix or ".jpg"
    turns = [
        (prompts.answer_from_text(question, source.stage, f"{row['id']}/{number}"), answer)
        for number, (question, answer) in enumerate(zip(row["questions"], row["answers"], strict=True))
    ]
    return Original(row["id"], dialogue(turns), (source.picture(f"images/{row['id']}{ending}"),))
