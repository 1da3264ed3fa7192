"""What the harnesses call, without the harnesses; `make interop-eval` runs it under them."""

from types import SimpleNamespace

import pytest
from PIL import Image

from nvlm.evaluation.adapters import lm_eval_model, lmms_eval_model
from nvlm.evaluation.adapters.requests import batches, number, read_settings
from nvlm.inference import ask
from tests.evaluation.test_likelihood import whole


@pytest.fixture(scope="module")
def text(tiny_folder) -> lm_eval_model.HarnessModel:
    return lm_eval_model.HarnessModel(str(tiny_folder), batch_size="2")


@pytest.fixture(scope="module")
def sight(tiny_folder) -> lmms_eval_model.HarnessModel:
    return lmms_eval_model.HarnessModel(str(tiny_folder), batch_size=2, system_prompt="")


def request(*arguments: object) -> SimpleNamespace:
    return SimpleNamespace(args=arguments)


def test_likelihoods_are_the_model_s(text):
    pairs = [([5, 6], [7]), ([5, 6], [8]), ([9, 10, 11], [12, 13])]
    found = text._loglikelihood_tokens([(("", ""), *pair) for pair in pairs], disable_tqdm=True)
    assert [log for log, _ in found] == pytest.approx([whole(text.model, *pair) for pair in pairs], abs=1e-4)


def test_answers_are_the_model_s_and_end_where_the_task_says(text):
    prompt = text.apply_chat_template([{"role": "user", "content": "What?"}])
    requests = [request(prompt, {"until": [], "max_gen_toks": 8})] * 3
    answers = text.generate_until(requests, disable_tqdm=True)
    expected = ask(text.model, text.processor, "What?", max_new_tokens=8)
    assert [answer.strip() for answer in answers] == [expected] * 3
    end = answers[0][2:4]
    cut = text.generate_until([request(prompt, {"until": [end], "max_gen_toks": 8})], disable_tqdm=True)
    assert cut == [answers[0][: answers[0].index(end)]]


def test_a_template_is_that_of_the_processor(text):
    chat = [{"role": "user", "content": "What?"}, {"role": "assistant", "content": "So"}]
    assert text.apply_chat_template(chat[:1]).endswith("<|im_start|>assistant\n")
    assert text.apply_chat_template(chat, add_generation_prompt=False).endswith("assistant\nSo")
    assert "im_start" in text.chat_template(True)
    assert text.chat_template(False) is None
    assert text.tok_encode("<|im_end|>") == [text.eot_token_id]


def test_nothing_is_cut_off_in_silence(text):
    with pytest.raises(ValueError, match=r"a request has 600 tokens with its answer, but only 512 fit"):
        text._loglikelihood_tokens([(("", ""), [5] * 600, [6])], disable_tqdm=True)
    with pytest.raises(ValueError, match="but only 512 fit"):
        text.generate_until([request("word " * 300, {"max_gen_toks": 256})], disable_tqdm=True)


def test_pictures_are_answered_as_by_ask(sight):
    picture = Image.new("RGB", (64, 64), "red")
    sight.task_dict = {"task": {"test": [[picture], []]}}
    requests = [
        request(
            "<image>What?", {"max_new_tokens": 5, "do_sample": False, "temperature": 0}, list, place, "task", "test"
        )
        for place in (0, 1)
    ]
    expected = [ask(sight.model, sight.processor, "What?", images, max_new_tokens=5) for images in ([picture], [])]
    assert sight.generate_until(requests) == expected


def test_a_system_turn_comes_first(sight, tiny_folder):
    asked = request("What?", {}, lambda document: None, 0, "task", "test")
    sight.task_dict = {"task": {"test": [None]}}
    assert [turn["role"] for turn in sight._conversation(asked)] == ["user"]
    with_system = lmms_eval_model.HarnessModel(str(tiny_folder))
    with_system.task_dict = sight.task_dict
    assert [turn["role"] for turn in with_system._conversation(asked)] == ["system", "user"]


def test_what_is_not_offered_says_so(sight):
    for call in (sight.loglikelihood, sight.generate_until_multi_round):
        with pytest.raises(NotImplementedError, match="choose another task"):
            call([])


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({}, (7, (), {})),
        ({"until": "\n", "max_gen_toks": 3}, (3, ("\n",), {})),
        (
            {"until": ["a", ""], "max_new_tokens": 3, "do_sample": False, "temperature": 0.7, "top_p": 1},
            (3, ("a",), {}),
        ),
        ({"temperature": 0.0, "do_sample": True}, (7, (), {})),
        ({"temperature": 0.7}, (7, (), {"temperature": 0.7})),
        ({"do_sample": True, "top_k": 5}, (7, (), {"do_sample": True, "top_k": 5})),
        ({"num_beams": 2, "top_p": None, "image_aspect_ratio": "pad"}, (7, (), {"num_beams": 2})),
    ],
)
def test_generation_settings(settings, wanted):
    assert read_settings(settings, 7) == wanted


def test_requests_of_one_kind_go_together():
    assert list(batches([1, 1, 1, 2, 1], 2, key=lambda each: each)) == [[1, 1], [1], [2], [1]]


def test_a_batch_size_is_a_number():
    assert (number("4"), number(0)) == (4, 1)
    with pytest.raises(ValueError, match="batch_size is 'auto', but this model takes a number"):
        number("auto")


def test_without_the_harness_it_is_told(monkeypatch):
    for name in ("lm_eval", "lm_eval.api.model", "lmms_eval", "lmms_eval.models.registry_v2", "lmms_eval.api.model"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    with pytest.raises(ModuleNotFoundError, match="pip install lm_eval"):
        lm_eval_model.main()
    with pytest.raises(ModuleNotFoundError, match="pip install lmms_eval"):
        lmms_eval_model.manifest()
    with pytest.raises(ModuleNotFoundError, match="pip install lmms_eval"):
        lmms_eval_model.NVLM  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'Other'"):
        lmms_eval_model.Other  # noqa: B018
