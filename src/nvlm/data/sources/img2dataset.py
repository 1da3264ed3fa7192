"""Pictures from the web with their captions, as the download tool img2dataset stores them: CC3M, SBU, LAION-115M.

Tar shards of ``KEY.jpg``, ``KEY.txt`` (the caption) and ``KEY.json``; a picture that could not be fetched is not there.
"""

from collections.abc import Iterator

from nvlm.data import prompts
from nvlm.data.original import Original
from nvlm.data.reading import Row, tar_groups
from nvlm.data.sources.source import Source
from nvlm.data.sources.turns import ask

ENDINGS = ("jpg", "jpeg", "png", "webp")


def rows(source: Source) -> Iterator[Row]:
    """The samples of all shards."""
    for path in source.find(source.options.get("files", "*.tar")):
        for key, parts in tar_groups(path):
            yield {"id": key, "parts": parts}


def sample(row: Row, source: Source) -> Original:
    """A picture with its caption."""
    parts = row["parts"]
    picture = next((parts[ending] for ending in ENDINGS if ending in parts), None)
    if picture is None:
        raise ValueError(f"there is no picture beside {', '.join(parts)}")
    text = parts["txt"].decode("utf-8").strip()
    return Original(row["id"], ask(prompts.caption(source.stage, row["id"]), text), (picture,))
