"""Visual7W's telling questions, picture by picture (Zhu et al., 2016).

``dataset_v7w_telling.json``: ``{"images": [{"image_id", "filename", "split", "qa_pairs": [{"qa_id", "question",
"answer", "multiple_choices"}]}]}``: three wrong choices; where the right one stands among them, the question's id
decides.
"""

from collections.abc import Iterator

from nvlm.data import prompts
from nvlm.data.original import Original
from nvlm.data.reading import Row, elements
from nvlm.data.sources.source import Source
from nvlm.data.sources.turns import dialogue


def rows(source: Source) -> Iterator[Row]:
    """The pictures of the training split."""
    found = elements(source.one("dataset_v7w_telling.json"), "images")
    return (row for row in found if row["split"] == "train" and row["qa_pairs"])


def sample(row: Row, source: Source) -> Original:
    """All questions about a picture, in one conversation."""
    turns = [_turn(pair) for pair in row["qa_pairs"]]
    return Original(str(row["image_id"]), dialogue(turns), (source.picture(f"images/{row['filename']}"),))


def _turn(pair: Row) -> tuple[str, str]:
    choices = list(pair["multiple_choices"])
    place = prompts.pick(range(len(choices) + 1), str(pair["qa_id"]))
    choices.insert(place, pair["answer"])
    return prompts.letters(pair["question"], choices), prompts.LETTERS[place]
