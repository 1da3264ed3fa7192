from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from nvlm.evaluation.answering import LanguageModel, LocalModel, find_language_model, length
from nvlm.evaluation.benchmark import Question
from nvlm.evaluation.nano_suite import NANO
from nvlm.evaluation.runner import Answer, Job
from nvlm.inference import ask_batch, load
from nvlm.processing.images import ImageError
from tests.inference.tiny import make_tiny

COPY = replace(NANO["text/copy"], max_new_tokens=6)


def questions(task: str, count: int) -> list[Question]:
    return list(Job(NANO[task], "test", limit=count).questions())


@pytest.fixture(scope="module")
def hybrid(tiny_folder) -> LocalModel:
    return LocalModel(*load(tiny_folder))


def test_answers_are_those_of_ask_and_their_tokens_are_counted(hybrid):
    asked = [*questions("text/copy", 3), *questions("read/word", 2)]
    answers = hybrid(asked, COPY)
    pairs = [(question.content[-1], question.pictures) for question in asked]
    assert [answer.text for answer in answers] == ask_batch(hybrid.model, hybrid.processor, pairs, 6)
    assert all(1 <= answer.tokens <= 6 for answer in answers)


def test_pictures_of_one_question_share_the_tile_limit(hybrid, monkeypatch):
    limits = []
    real = type(hybrid.processor).apply_chat_template

    def note(self, conversations, **options):
        limits.append((len(conversations), options["max_tiles"]))
        return real(self, conversations, **options)

    monkeypatch.setattr(type(hybrid.processor), "apply_chat_template", note)
    picture = Image.new("RGB", (256, 64))
    asked = [
        Question("one", (picture, "What?"), None),
        Question("three", (picture, "and", picture, "or", picture, "?"), None),
        Question("none", ("What?",), None),
        Question("seven", (*[picture] * 7, "?"), None),
    ]
    shared = replace(COPY, divide_tiles=True, max_new_tokens=2)
    together = hybrid(asked, shared)
    assert sorted(limits) == [(1, 1), (1, 2), (2, 6)]
    assert together == [hybrid([question], shared)[0] for question in asked]
    limits.clear()
    hybrid(asked[:2], replace(shared, divide_tiles=False))
    assert limits == [(2, 6)]


def test_a_broken_picture_is_an_error_of_its_question(hybrid, tmp_path):
    with pytest.raises(ImageError, match="does not exist"):
        hybrid([Question("a", (tmp_path / "a.png", "What?"), None)], COPY)


def test_the_baseline_answers_text_as_the_model_that_was_built_on_it(language_folder):
    """Nothing to read changes nothing: a fresh NVLM's answers without pictures are its language model's."""
    asked = questions("text/copy", 4)
    baseline = LanguageModel(language_folder)(asked, COPY)
    assert baseline == LocalModel(*make_tiny("D"))(asked, COPY)
    assert baseline == [LanguageModel(language_folder)([question], COPY)[0] for question in asked]


def test_letters_are_chosen_by_likelihood_alike_by_model_and_baseline(hybrid, language_folder):
    """A fresh NVLM-D's likelihoods of text are its language model's."""
    letters = replace(COPY, choices=("A", "B", "C"))
    asked = [*questions("text/copy", 2), Question("long", ("word " * 40,), None)]
    chosen = LanguageModel(language_folder)(asked, letters)
    assert all(answer.text == max(answer.likelihoods, key=answer.likelihoods.get) for answer in chosen)
    for here, there in zip(chosen, LocalModel(*make_tiny("D"))(asked, letters), strict=True):
        assert (here.text, here.tokens) == (there.text, there.tokens)
        assert here.likelihoods == pytest.approx(there.likelihoods, abs=2e-4)
    for each, alone in zip(hybrid(asked, letters), (hybrid([one], letters)[0] for one in asked), strict=True):
        assert each.likelihoods == pytest.approx(alone.likelihoods, abs=2e-4)


def test_choices_are_weighed_for_text_alone(hybrid):
    with pytest.raises(ValueError, match="choices are weighed for text alone"):
        hybrid(questions("read/word", 1), replace(COPY, choices=("A", "B")))


def test_a_baseline_cannot_see(language_folder):
    with pytest.raises(ValueError, match="pictures, which a bare language model cannot see"):
        LanguageModel(language_folder)(questions("read/word", 1), NANO["read/word"])


def test_a_prompt_that_does_not_fit_the_baseline_is_told(language_folder):
    with pytest.raises(ValueError, match=r"the answer 6, but only 512 fit"):
        LanguageModel(language_folder)([Question("a", ("word " * 600,), None)], COPY)


def test_a_baseline_that_comes_with_the_package_goes_by_its_name(language_folder, monkeypatch):
    monkeypatch.setattr("nvlm.evaluation.answering.MODELS", language_folder.parent)
    assert find_language_model(language_folder.name) == language_folder


def test_a_baseline_that_is_not_there_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder with a saved language model"):
        LanguageModel(tmp_path / "nothing")
    (tmp_path / "config.json").write_text("{}")
    Path(tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ValueError, match="a pickle that can run code"):
        LanguageModel(tmp_path)


@pytest.mark.parametrize(("row", "tokens"), [([5, 6, 2, 0, 0], 3), ([5, 6, 7], 3), ([2, 2, 2], 1), ([], 0)])
def test_the_end_of_an_answer_counts_and_padding_does_not(row, tokens):
    assert length(torch.tensor(row), {2}) == tokens


def test_an_answer_is_text_and_its_tokens():
    assert Answer("x", 1) == ("x", 1, None)
