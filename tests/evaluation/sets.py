"""Two rows of each set in its published layout, written by code; pictures are plain colours."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

TEN = ["red"] * 10


def picture(path: Path, colour: str = "red") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 24), colour).save(path)


def text(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def json_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    text(path, "".join(json.dumps(row) + "\n" for row in rows))


def chartqa(root: Path) -> None:
    for kind, label in (("human", "14"), ("augmented", "Japan")):
        row = {"imgname": f"{kind}.png", "query": "How many bars are shown?", "label": label}
        text(root / "test" / f"test_{kind}.json", [row])
        picture(root / "test" / "png" / f"{kind}.png")


def docvqa(root: Path) -> None:
    rows = [
        {"questionId": 337 + number, "question": "What is the date?", "question_types": ["form"], "docId": 1}
        | {"image": f"documents/p{number}.png", "answers": ["1/8/93", "January 8, 1993"], "data_split": "val"}
        for number in range(2)
    ]
    text(root / "val_v1.0_withQT.json", {"dataset_name": "SP-DocVQA", "dataset_split": "val", "data": rows})
    asked = [{name: row[name] for name in ("questionId", "question", "image")} for row in rows]
    text(root / "test_v1.0.json", {"dataset_name": "SP-DocVQA", "data": asked})
    for number in range(2):
        picture(root / "documents" / f"p{number}.png")


def textvqa(root: Path) -> None:
    rows = [
        {"question": "what brand is it?", "image_id": f"0{number}", "question_id": 34602 + number, "answers": TEN}
        for number in range(2)
    ]
    text(root / "TextVQA_0.5.1_val.json", {"dataset_type": "val", "dataset_name": "textvqa", "data": rows})
    for row in rows:
        picture(root / "train_images" / f"{row['image_id']}.jpg")


def vqav2(root: Path) -> None:
    about = {"info": {"year": 2017, "nested": [1, {"two": "}"}]}, "task_type": "Open-Ended", "license": {"name": "CC"}}
    asked = [{"image_id": 42, "question": "What colour is it?", "question_id": 42000 + n} for n in range(2)]
    people = [{"answer": "red", "answer_confidence": "yes", "answer_id": n} for n in range(10)]
    told = [
        {"question_type": "what", "answers": people, "image_id": 42, "answer_type": "other"}
        | {"question_id": row["question_id"], "multiple_choice_answer": "red"}
        for row in asked
    ]
    text(root / "v2_OpenEnded_mscoco_val2014_questions.json", about | {"questions": asked})
    text(root / "v2_mscoco_val2014_annotations.json", about | {"annotations": told, "data_type": "mscoco"})
    text(root / "v2_OpenEnded_mscoco_test-dev2015_questions.json", about | {"questions": asked})
    picture(root / "val2014" / "COCO_val2014_000000000042.jpg")
    picture(root / "test2015" / "COCO_test2015_000000000042.jpg")


def ocrbench(root: Path) -> None:
    rows = [
        {"dataset_name": "IIIT5K", "id": 7, "image_path": "IIIT5K/a.png", "type": "Regular Text Recognition"}
        | {"question": "what is written in the image?", "answers": "CENTRE"},
        {"dataset_name": "HME100k", "id": 7, "image_path": "HME/b.png"}
        | {"type": "Handwritten Mathematical Expression Recognition"}
        | {"question": "Write the formula in LaTeX.", "answers": ["x ^ { 2 }"]},
    ]
    text(root / "OCRBench.json", rows)
    picture(root / "OCRBench_Images" / "IIIT5K" / "a.png")
    picture(root / "OCRBench_Images" / "HME" / "b.png")


def ai2d(root: Path) -> None:
    text(root / "ai2d_test_ids.csv", "0\n2\n3\n")
    label = {"abcLabel": True, "answerTexts": ["A", "C", "D", "B"], "correctAnswer": 3, "questionId": "0.png-0"}
    plain = {"abcLabel": False, "answerTexts": ["sun", "moon"], "correctAnswer": 0, "questionId": "3.png-0"}
    text(root / "questions/0.png.json", {"imageName": "0.png", "questions": {"Which label is the ear?": label}})
    text(root / "questions/3.png.json", {"imageName": "3.png", "questions": {"What is shown?": plain}})
    for name in ("images/0", "images/3", "abc_images/0"):
        picture(root / f"{name}.png")


def realworldqa(root: Path) -> None:
    rows = [
        {"image": "0.webp", "answer": "B", "question": "Which way is it facing?\n\nA. Left\nB. Right\nPlease answer "
         "directly with only the letter of the correct option and nothing else."},
        {"image": "1.webp", "answer": "Yes", "question": "Is the light green? Please answer directly with a single "
         "word or number."},
    ]  # fmt: skip
    text(root / "annotations.json", rows)
    for number in range(2):
        picture(root / "images" / f"{number}.webp")


def mathvista(root: Path) -> None:
    about = {"unit": None, "precision": 1, "metadata": {"task": "figure question answering"}}
    free = {"question": "What is the volume?", "image": "images/1.jpg", "choices": None, "answer": "1.2"} | {
        "question_type": "free_form", "pid": "1", "answer_type": "float",
        "query": "Hint: Please answer the question requiring a floating-point number with one decimal place and "
        "provide the final value, e.g., 1.2, 1.3, 1.4, at the end.\nQuestion: What is the volume?",
    }  # fmt: skip
    choice = {"question": "Is it larger?", "image": "images/2.jpg", "choices": ["Yes", "No"], "answer": "No"} | {
        "question_type": "multi_choice", "answer_type": "text", "pid": "2", "query": "Hint: …", "precision": None,
    }  # fmt: skip
    text(root / "annot_testmini.json", {"1": about | free, "2": about | choice})
    for number in (1, 2):
        picture(root / "images" / f"{number}.jpg")


def coco(root: Path) -> None:
    rows = [
        {"image": "val2014/COCO_val2014_000000000001.jpg", "caption": ["A red dog runs on a beach."] * 5},
        {"image": "val2014/COCO_val2014_000000000002.jpg", "caption": ["Two men repair an old bicycle."] * 5},
    ]
    text(root / "coco_karpathy_test.json", rows)
    for row in rows:
        picture(root / str(row["image"]))


def coco_official(root: Path) -> None:
    images = [{"id": number, "file_name": f"COCO_val2014_{number:012d}.jpg"} for number in (1, 2)]
    told = [{"image_id": number, "id": number, "caption": f"Number {number} stands here."} for number in (2, 1)]
    text(root / "annotations/captions_val2014.json", {"info": {}, "images": images, "annotations": told})
    for image in images:
        picture(root / "val2014" / str(image["file_name"]))


def coco_plain(root: Path) -> None:
    json_lines(root / "captions.jsonl", [{"id": 7, "image": "images/7.jpg", "captions": ["A cat.", "One cat sits."]}])
    picture(root / "images/7.jpg")


def tabmwp(root: Path) -> None:
    numeric = {"question": "What is the total?", "choices": None, "answer": "1,040.50", "unit": "$"} | {
        "ques_type": "free_text", "ans_type": "decimal_number",
    }  # fmt: skip
    choice = {"question": "Is it linear?", "choices": ["linear", "nonlinear"], "answer": "nonlinear", "unit": None} | {
        "ques_type": "multi_choice", "ans_type": "boolean_text",
    }  # fmt: skip
    text(root / "problems_dev1k.json", {"33": choice, "117": numeric})
    for number in (33, 117):
        picture(root / "tables" / f"{number}.png")


def tabmwp_plain(root: Path) -> None:
    row = {"id": "33", "image": "images/33.png", "question": "Is it linear?", "choices": ["linear", "nonlinear"]}
    json_lines(root / "questions.jsonl", [row | {"answer": "linear", "unit": None, "ans_type": "boolean_text"}])
    picture(root / "images/33.png")


def sroie(root: Path) -> None:
    fields = {"company": "GIN KEE", "date": "11/01/2018", "address": "NO 290, KUALA LUMPUR.", "total": "116.28"}
    text(root / "key/000.json", fields)
    picture(root / "img/000.jpg")


def sroie_plain(root: Path) -> None:
    json_lines(
        root / "receipts.jsonl", [{"id": "1", "image": "images/1.jpg", "fields": {"total": "9.00"}, "lines": []}]
    )
    picture(root / "images/1.jpg")


def nlvr(root: Path) -> None:
    rows = [
        {"identifier": f"33-{number}", "directory": "4", "sentence": "There is a black block.", "label": label}
        for number, label in enumerate(("true", "false"))
    ]
    json_lines(root / "dev/dev.json", rows)
    for row in rows:
        picture(root / "dev/images/4" / f"dev-{row['identifier']}-0.png")


def nlvr_plain(root: Path) -> None:
    json_lines(root / "statements.jsonl", [{"id": "1", "sentence": "It is so.", "label": "true", "image": "i.png"}])
    picture(root / "i.png")


FOLDERS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "chartqa": ("chartqa", chartqa), "docvqa": ("docvqa", docvqa), "textvqa": ("textvqa", textvqa),
    "vqav2": ("vqav2", vqav2), "ocrbench": ("ocrbench", ocrbench), "ai2d": ("ai2d", ai2d),
    "ai2d_no_mask": ("ai2d_no_mask", ai2d), "realworldqa": ("realworldqa", realworldqa),
    "mathvista": ("mathvista", mathvista), "coco": ("coco", coco), "coco, official": ("coco", coco_official),
    "coco, lines": ("coco", coco_plain), "tabmwp": ("tabmwp", tabmwp), "tabmwp, lines": ("tabmwp", tabmwp_plain),
    "sroie": ("sroie", sroie), "sroie, lines": ("sroie", sroie_plain), "nlvr": ("nlvr", nlvr),
    "nlvr, lines": ("nlvr", nlvr_plain),
}  # fmt: skip
"""Case → (benchmark, what writes its files)."""


def cell() -> dict[str, Any]:
    """A picture as the hub's Parquet files hold it."""
    file = io.BytesIO()
    Image.new("RGB", (40, 24), "blue").save(file, "PNG")
    return {"bytes": file.getvalue(), "path": "a.png"}


def mmmu_rows() -> list[dict[str, Any]]:
    about = {"explanation": "", "img_type": "['Table']", "topic_difficulty": "Easy", "subfield": "x"}
    empty = {f"image_{number}": None for number in range(1, 8)}
    choice = {"id": "validation_Art_Theory_1", "question_type": "multiple-choice", "answer": "B"} | {
        "question": "Which of <image 1> and <image 2> came first?", "options": "['<image 1>', 'the <image 2> one']",
    }  # fmt: skip
    number = {"id": "validation_Math_7", "question_type": "open", "answer": "['24/7', '3.429']", "options": "[]"} | {
        "question": "<image 1> What is the slope?",
    }  # fmt: skip
    return [
        about | empty | choice | {"image_1": cell(), "image_2": cell()},
        about | empty | number | {"image_1": cell()},
    ]


HUB: dict[str, tuple[str, str, list[dict[str, Any]]]] = {
    "mmmu": ("val", "Art_Theory/validation-00000-of-00001.parquet", mmmu_rows()),
    "chartqa": ("test", "data/test-00000-of-00001.parquet", [
        {"type": "human_test", "question": "How many?", "answer": "14", "image": cell()},
        {"type": "augmented_test", "question": "How many?", "answer": "15", "image": cell()},
    ]),
    "docvqa": ("val", "DocVQA/validation-00000-of-00006.parquet", [
        {"questionId": "337", "question": "What is the date?", "question_types": ["form"], "image": cell(),
         "answers": ["1/8/93"]},
        {"questionId": "338", "question": "What is the date?", "question_types": ["form"], "image": cell(),
         "answers": ["1/8/94"]},
    ]),
    "textvqa": ("val", "data/validation-00000-of-00003.parquet", [
        {"question_id": 34602, "image_id": "0", "question": "what brand?", "image": cell(), "answers": TEN},
        {"question_id": 34603, "image_id": "1", "question": "what brand?", "image": cell(), "answers": TEN},
    ]),
    "vqav2": ("test-dev", "data/testdev-00000-of-00036.parquet", [
        {"question_id": 1, "question": "What is it?", "image": cell(), "answers": None, "answer_type": None},
        {"question_id": 2, "question": "What is it?", "image": cell(), "answers": None, "answer_type": None},
    ]),
    "ocrbench": ("test", "data/test-00000-of-00001.parquet", [
        {"dataset": "IIIT5K", "question": "what is written in the image?", "answer": ["CENTRE"], "image": cell(),
         "question_type": "Regular Text Recognition"},
    ]),
    "ai2d": ("test", "data/test-00000-of-00002.parquet", [
        {"question": "Which?", "options": ["A", "C", "B"], "answer": "2", "image": cell()},
    ]),
    "realworldqa": ("test", "data/test-00000-of-00002.parquet", [
        {"question": "Is it green? Please answer directly with a single word or number.", "answer": "No",
         "image": cell()},
    ]),
    "mathvista": ("testmini", "data/testmini-00000-of-00001.parquet", [
        {"pid": "1", "question": "How many?", "image": "images/1.jpg", "decoded_image": cell(), "choices": None,
         "precision": None, "answer": "3", "question_type": "free_form", "answer_type": "integer",
         "metadata": {"task": "math word problem"}, "query": "Hint: Give an integer.\nQuestion: How many?"},
    ]),
}  # fmt: skip
"""Benchmark → (split, file below its folder, rows), as on the Hugging Face hub."""
