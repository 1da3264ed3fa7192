"""The shipped family: small enough, loads without network in a fresh interpreter, answers what it was trained for."""

import json
import subprocess
import sys

import pytest

from nvlm.data.synthetic.tasks import questions
from nvlm.evaluation.nano_suite import GROUPS
from nvlm.inference import SHIPPED, ask_batch, load
from nvlm.inference.load import MODELS

LARGEST = 40 * 2**20

FRESH = """
import sys
import nvlm
from transformers import AutoModelForImageTextToText, AutoProcessor
from PIL import Image, ImageDraw

image = Image.new("RGB", (128, 64), "white")
ImageDraw.Draw(image).ellipse((30, 20, 54, 44), fill=(214, 40, 40))
WRITTEN = "apple 34\\nriver 12\\nHow much is river?"
DRAWN = [{"type": "image", "image": image}, {"type": "text", "text": "Which shape is red?"}]


def answer(model, processor, content):
    messages = [{"role": "user", "content": content}]
    inputs = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=True)
    written = model.generate(**inputs, max_new_tokens=8)[:, inputs["input_ids"].shape[1]:]
    return processor.batch_decode(written, skip_special_tokens=True)[0].strip()


for folder in sys.argv[1:]:
    model = AutoModelForImageTextToText.from_pretrained(folder)
    processor = AutoProcessor.from_pretrained(folder)
    assert answer(model, processor, WRITTEN) == "12"
    assert answer(model, processor, DRAWN) == "circle"
    print(model.config.architecture)
"""


def test_all_three_are_shipped_and_together_at_most_40_mb():
    """With the backbones that they were made from."""
    assert set(SHIPPED) == {"nano-d", "nano-x", "nano-h"}
    files = [path for path in MODELS.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"model.safetensors", "README.md", "scores.json"}
    assert sum(path.stat().st_size for path in files) <= LARGEST


def test_a_fresh_interpreter_generates_offline():
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", FRESH, *(str(MODELS / name) for name in SHIPPED)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(MODELS.parents[1])},
    )
    assert done.stdout.split() == [name[-1].upper() for name in SHIPPED]


@pytest.mark.parametrize("name", SHIPPED)
def test_its_card_names_every_task_with_its_interval(name: str):
    card = (MODELS / name / "README.md").read_text(encoding="utf-8")
    scores = json.loads((MODELS / name / "scores.json").read_text(encoding="utf-8"))
    for group, tasks in GROUPS.items():
        for task in (group, *tasks):
            score = scores[task]
            assert f"| {task} | {100 * score['mean']:.1f} % " in card
            assert score["low"] <= score["mean"] <= score["high"]


@pytest.mark.parametrize("name", SHIPPED)
def test_it_looks_things_up_as_its_card_says(name: str):
    """The card's score of a cheap task holds for other questions of the split that it was not measured on."""
    model, processor = load(name)
    card = json.loads((MODELS / name / "scores.json").read_text(encoding="utf-8"))["text/value"]
    asked = list(questions("validation", "text/value", 100))
    answers = ask_batch(model, processor, [(turn.question, sample.images) for sample, turn in asked])
    right = sum(answer == turn.answer for answer, (_, turn) in zip(answers, asked, strict=True))
    assert right / 100 > card["mean"] - 0.2
