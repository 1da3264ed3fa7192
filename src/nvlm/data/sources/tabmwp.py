"""TabMWP: maths questions about tables (Lu et al., 2023).

``problems_train.json``: ``{id: {"question", "choices", "answer", "unit", "solution"}}``; the tables are pictures in
``tables``. The solution is what is learned, and the answer after it.
"""

from collections.abc import Iterator

from nvlm.data import prompts
from nvlm.data.original import Original
from nvlm.data.reading import Row, entries
from nvlm.data.sources.flat import letter
from nvlm.data.sources.source import Source
from nvlm.data.sources.turns import ask


def rows(source: Source) -> Iterator[Row]:
    """The problems."""
    return ({"id": id, **row} for id, row in entries(source.one(source.options.get("files", "problems_train.json"))))


def sample(row: Row, source: Source) -> Original:
    """A problem with choices, answered by a letter; one without, by its solution."""
    table = source.picture(source.options.get("picture", "tables/{id}.png").format_map(row))
    question = f"{row['question']} (unit: {row['unit']})" if row["unit"] else row["question"]
    if row["choices"]:
        return Original(
            row["id"], ask(prompts.letters(question, row["choices"]), letter(row["answer"], row["choices"])), (table,)
        )
    return Original(row["id"], ask(question, f"{row['solution']}\nAnswer: {row['answer']}"), (table,))
