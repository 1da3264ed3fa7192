import base64
import io

import pytest
from PIL import Image

from nvlm.evaluation.benchmark import Question
from nvlm.evaluation.benchmarks.chartqa import CHARTQA
from nvlm.evaluation.remote import RemoteModel, is_address
from nvlm.evaluation.runner import Answer, Job, run
from tests.evaluation.server import saying, serve
from tests.evaluation.sets import chartqa


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def question(tmp_path, number: int = 0) -> Question:
    Image.new("RGB", (4, 2), "red").save(tmp_path / f"{number}.png")
    return Question(str(number), (tmp_path / f"{number}.png", f"Question {number}?"), "14")


def test_pictures_and_text_are_sent_in_their_order_and_the_answer_comes_back(tmp_path):
    with serve(lambda body: saying(" 14 \n")) as (address, requests):
        answers = RemoteModel(address + "/", "peer")([question(tmp_path)], CHARTQA)
    assert answers == [Answer("14", 3)]
    (sent,) = requests
    assert (sent["path"], sent["model"], sent["temperature"], sent["max_tokens"]) == (
        "/v1/chat/completions",
        "peer",
        0,
        16,
    )
    assert "Authorization" not in sent["headers"]
    system, user = sent["messages"]
    assert system == {"role": "system", "content": CHARTQA.system}
    picture, text = user["content"]
    assert text == {"type": "text", "text": "Question 0?"}
    kind, data = picture["image_url"]["url"].split(",")
    assert kind == "data:image/png;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (4, 2)


def test_a_batch_keeps_its_order(tmp_path):
    def answer(body):
        return saying(body["messages"][1]["content"][1]["text"])

    with serve(answer) as (address, requests):
        answers = RemoteModel(address, "peer")([question(tmp_path, number) for number in range(6)], CHARTQA)
    assert [answer.text for answer in answers] == [f"Question {number}?" for number in range(6)]
    assert len(requests) == 6


def test_the_key_is_taken_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    with serve(lambda body: saying("x")) as (address, requests):
        assert RemoteModel(address, "peer").ask("Say x.") == "x"
    assert requests[0]["headers"]["Authorization"] == "Bearer secret"
    assert requests[0]["messages"] == [{"role": "user", "content": "Say x."}]


def test_a_fault_that_passes_is_tried_again(tmp_path):
    replies = iter([(503, {}), (429, {}), (200, b"not json"), saying("14")])
    with serve(lambda body: next(replies)) as (address, requests):
        assert RemoteModel(address, "peer", pause=0)([question(tmp_path)], CHARTQA)[0].text == "14"
    assert len(requests) == 4


def test_a_refused_question_scores_zero_and_the_rest_goes_on(tmp_path):
    chartqa(tmp_path)

    def answer(body):
        shown = body["messages"][1]["content"][1]["text"]
        return (400, {"error": "too large"}) if "lines" in shown else saying("14")

    path = tmp_path / "test/test_augmented.json"
    path.write_text(path.read_text().replace("bars", "lines"))
    with serve(answer) as (address, _):
        outcome = run(Job(CHARTQA, "test", CHARTQA.find("test", tmp_path)), RemoteModel(address, "peer"))
    assert (outcome.failed, outcome.asked, outcome.score.mean) == (1, 2, 0.5)


@pytest.mark.parametrize(
    ("reply", "complaint"),
    [
        ((404, b"no model peer"), "refuses .HTTP 404.: no model peer"),
        ((401, b"who are you"), "refuses .HTTP 401.: who are you"),
        ((200, {"answer": "14"}), "another form than OpenAI's"),
        ((500, b"oops"), "did not answer in 5 tries .HTTP 500: oops.; is the server running"),
    ],
)
def test_what_concerns_all_questions_ends_the_run(tmp_path, reply, complaint):
    with serve(lambda body: reply) as (address, _), pytest.raises(OSError, match=complaint):
        RemoteModel(address, "peer", pause=0)([question(tmp_path)], CHARTQA)


def test_a_server_that_is_not_there_is_told(tmp_path):
    with pytest.raises(OSError, match="is the server running"):
        RemoteModel("http://127.0.0.1:9/v1", "peer", pause=0)([question(tmp_path)], CHARTQA)


def test_an_empty_answer_is_an_answer(tmp_path):
    with serve(lambda body: (200, {"choices": [{"message": {"content": None}}]})) as (address, _):
        assert RemoteModel(address, "peer")([question(tmp_path)], CHARTQA) == [Answer("", 0)]


def test_addresses_are_told_from_folders():
    assert is_address("http://localhost:8000/v1") and is_address("https://x")
    assert not is_address("nano-h") and not is_address("runs/http")
