import pytest
import torch

from nvlm.evaluation.likelihood import likeliest, log_likelihoods
from tests.inference.tiny import make_tiny

PAIRS = [([5, 6, 7], [8]), ([5, 6, 7], [9]), ([5, 6, 7], [8, 9, 10]), ([11], [12, 13]), ([5] * 20, [6])]


@pytest.fixture(scope="module", params=["D", "X", "H"])
def model(request):
    return make_tiny(request.param)[0]


def whole(model, context: list[int], continuation: list[int]) -> float:
    """From the forward pass of one text, without padding."""
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([context + continuation])).logits[0].log_softmax(-1)
    return sum(float(logits[len(context) + place - 1, token]) for place, token in enumerate(continuation))


def test_a_continuation_is_as_likely_as_its_tokens_one_by_one(model):
    found = log_likelihoods(model, PAIRS)
    expected = [whole(model, *pair) for pair in PAIRS]
    assert [each.log for each in found] == pytest.approx(expected, abs=1e-4)


def test_greedy_is_what_the_model_would_write(model):
    with torch.inference_mode():
        next_token = int(model(input_ids=torch.tensor([[5, 6, 7]])).logits[0, -1].argmax())
    found = log_likelihoods(model, [([5, 6, 7], [next_token]), ([5, 6, 7], [next_token + 1])])
    assert [each.greedy for each in found] == [True, False]


def test_texts_that_continuations_share_are_read_once(model, monkeypatch):
    rows = []
    real = type(model).forward

    def forward(self, input_ids, **options):
        rows.append(len(input_ids))
        return real(self, input_ids=input_ids, **options)

    monkeypatch.setattr(type(model), "forward", forward)
    log_likelihoods(model, [([5, 6, 7], [letter]) for letter in range(8, 20)])
    assert rows == [1]


def test_the_likeliest_choice_and_its_tokens():
    model, processor = make_tiny("D")
    (answer,) = likeliest(model, processor.tokenizer, [[5, 6, 7]], ["A", "B", "word word"])
    assert answer.text == max(answer.likelihoods, key=answer.likelihoods.get)
    assert answer.tokens == len(processor.tokenizer(answer.text, add_special_tokens=False)["input_ids"])
