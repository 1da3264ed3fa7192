"""Questions in one file and their answers in another, as VQAv2 keeps them (Goyal et al., 2017), and OK-VQA.

``{"questions": [{"question_id", "image_id", "question"}]}`` and ``{"annotations": [{"question_id", "answers":
[{"answer"}, …]}]}``; of the ten answers one is taken, the more likely the more annotators gave it.
"""

from collections.abc import Iterator

from nvlm.data import prompts
from nvlm.data.lookup import Lookup
from nvlm.data.original import Original
from nvlm.data.reading import Row, elements
from nvlm.data.sources.flat import one
from nvlm.data.sources.source import Source
from nvlm.data.sources.turns import ask


def rows(source: Source) -> Iterator[Row]:
    """The questions, with their answers."""
    annotations = elements(source.one(source.options["annotations"]), "annotations")
    answers = ((row["question_id"], [answer["answer"] for answer in row["answers"]]) for row in annotations)
    with Lookup(answers, "answer to question") as found:
        for row in elements(source.one(source.options["questions"]), "questions"):
            yield {**row, "answers": found[row["question_id"]]}


def sample(row: Row, source: Source) -> Original:
    """The question with one of its answers."""
    id = str(row["question_id"])
    file = source.picture(source.options["picture"].format_map(row))
    return Original(id, ask(prompts.short_answer(row["question"], source.stage, id), one(row["answers"], id)), (file,))
