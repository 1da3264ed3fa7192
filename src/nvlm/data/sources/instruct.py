"""Instructions and responses without pictures; the manifest names the fields.

Rows come from a JSON list, JSON lines, Parquet or Arrow: ``instruction`` (and ``input``, more of it, where there is
one) and ``output`` name the fields.
"""

from collections.abc import Iterator

from nvlm.data.original import Original
from nvlm.data.reading import Row, objects
from nvlm.data.sources.source import Source
from nvlm.data.sources.turns import ask


def rows(source: Source) -> Iterator[Row | ValueError]:
    """The rows of all files."""
    return objects(source.data_files())


def sample(row: Row, source: Source) -> Original:
    """One instruction with its response."""
    options = source.options
    more = row.get(options.get("input", "input")) or ""
    instruction = str(row[options.get("instruction", "instruction")])
    answer = str(row[options.get("output", "output")])
    return Original(str(row.get("id", "")), ask(f"{instruction}\n{more}" if more else instruction, answer, pictures=0))
