"""Questions about pictures as The Cauldron keeps fifty sets, and Docmatix itself (Laurençon et al., 2024).

A row of a Parquet file: ``{"images": [{"bytes", "path"}], "texts": [{"user", "assistant", "source"}]}``.
"""

from collections.abc import Iterator

from nvlm.data.original import Original
from nvlm.data.reading import Row, objects
from nvlm.data.sources.llava import picture
from nvlm.data.sources.source import Source
from nvlm.data.sources.turns import dialogue


def rows(source: Source) -> Iterator[Row | ValueError]:
    """The rows of all files."""
    return objects(source.data_files())


def sample(row: Row, source: Source) -> Original:
    """All questions about the pictures of a row, in one conversation."""
    pictures = tuple(picture(each, source) for each in row["images"])
    turns = [(turn["user"], turn["assistant"]) for turn in row["texts"]]
    return Original("", dialogue(turns, len(pictures)), pictures)
