"""Captions as COCO keeps them (Chen et al., 2015): a JSON file with ``images`` and ``annotations``.

``images``: ``[{"id", "file_name"}]``; ``annotations``: ``[{"id", "image_id", "caption"}]``. Every caption is a sample
of its own.
"""

from collections.abc import Iterator

from nvlm.data import prompts
from nvlm.data.lookup import Lookup
from nvlm.data.original import Original
from nvlm.data.reading import Row, elements
from nvlm.data.sources.source import Source
from nvlm.data.sources.turns import ask


def rows(source: Source) -> Iterator[Row]:
    """The annotations, with the file name of their picture."""
    path = source.one(source.options["annotations"])
    names = ((image["id"], image["file_name"]) for image in elements(path, "images"))
    with Lookup(names, "picture") as files:
        for row in elements(path, "annotations"):
            yield {**row, "file_name": files[row["image_id"]]}


def sample(row: Row, source: Source) -> Original:
    """The picture with one caption."""
    id = str(row["id"])
    file = source.picture(source.options["picture"].format_map(row))
    return Original(id, ask(prompts.caption(source.stage, id), row["caption"].strip()), (file,))
