"""ScienceQA: school science with and without a picture (Lu et al., 2022).

``problems.json``: ``{id: {"question", "choices", "answer", "hint", "image", "split"}}``; the pictures are
``train/ID/image.png``.
"""

from collections.abc import Iterator

from nvlm.data import prompts
from nvlm.data.original import Original
from nvlm.data.reading import Row, entries
from nvlm.data.sources.flat import letter
from nvlm.data.sources.source import Source
from nvlm.data.sources.turns import ask


def rows(source: Source) -> Iterator[Row]:
    """The problems of the training split."""
    found = entries(source.one("problems.json"))
    return ({"id": id, **row} for id, row in found if row["split"] == "train")


def sample(row: Row, source: Source) -> Original:
    """A problem, its hint before it; some have no picture."""
    files = (source.picture(f"train/{row['id']}/{row['image']}"),) if row["image"] else ()
    question = f"{row['hint']}\n{row['question']}" if row["hint"] else row["question"]
    messages = ask(prompts.letters(question, row["choices"]), letter(row["answer"], row["choices"]), len(files))
    return Original(row["id"], messages, files)
