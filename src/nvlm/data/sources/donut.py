"""Generated pages with their text, as Donut's SynthDoG makes them: synthdog-en (Kim et al., 2022).

A row of a Parquet file: ``{"image": {"bytes"}, "ground_truth": '{"gt_parse": {"text_sequence": "…"}}'}``.
"""

import json
from collections.abc import Iterator

from nvlm.data import prompts
from nvlm.data.original import Original
from nvlm.data.reading import Row, objects
from nvlm.data.sources.llava import picture
from nvlm.data.sources.source import Source
from nvlm.data.sources.turns import ask


def rows(source: Source) -> Iterator[Row | ValueError]:
    """The pages of the training split."""
    return objects(source.find(source.options.get("files", "**/train-*.parquet")))


def sample(row: Row, source: Source) -> Original:
    """A page with its text."""
    text = json.loads(row["ground_truth"])["gt_parse"]["text_sequence"]
    return Original("", ask(prompts.transcription(text), text), (picture(row["image"], source),))
