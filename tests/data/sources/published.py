"""Two rows of each dataset in the form in which it is published, written by code: name → writer of a folder."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

Writer = Callable[[Path], None]


def picture(width: int = 40, height: int = 20, colour: str = "red", format: str = "JPEG") -> bytes:
    """A small picture's file."""
    file = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(file, format)
    return file.getvalue()


def put(folder: Path, name: str, content: Any) -> None:
    """Write a file: bytes, text, or anything else as JSON; a `.jsonl` takes a list."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, str):
        path.write_text(content, encoding="utf-8")
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in content), encoding="utf-8")
    else:
        path.write_text(json.dumps(content), encoding="utf-8")


def pictures(folder: Path, *names: str) -> None:
    """Write small pictures."""
    for name in names:
        put(folder, name, picture(format="PNG" if name.endswith("png") else "JPEG"))


def coco(folder: Path) -> None:
    put(folder, "annotations/captions_train2017.json", {
        "info": {"year": 2017}, "licenses": [{"id": 3}],
        "images": [{"id": 9, "file_name": "000000000009.jpg", "height": 20, "width": 40}],
        "annotations": [
            {"image_id": 9, "id": 661611, "caption": "A plate of food. "},
            {"image_id": 9, "id": 661977, "caption": "Broccoli in a box"},
        ],
    })  # fmt: skip
    pictures(folder, "train2017/000000000009.jpg")


def textcaps(folder: Path) -> None:
    put(folder, "TextCaps_0.1_train.json", {"dataset_type": "train", "data": [
        {"image_id": "ab12", "caption_id": 1, "caption_str": "A red bus to Oxford.", "image_path": "train/ab12.jpg"},
        {"image_id": "ab12", "caption_id": 2, "caption_str": "The sign says stop.", "image_path": "train/ab12.jpg"},
    ]})  # fmt: skip
    pictures(folder, "train_images/ab12.jpg")


def vqav2(folder: Path, prefix: str = "v2_") -> None:
    questions = [
        {"image_id": 458752, "question": "What is this photo taken looking through?", "question_id": 458752000},
        {"image_id": 458752, "question": "Is it a game?", "question_id": 458752002},
    ]
    answers = [
        {"question_id": 458752002, "image_id": 458752, "answers": [{"answer": "yes", "answer_id": 1}] * 10},
        {"question_id": 458752000, "image_id": 458752, "answers": [{"answer": "net", "answer_id": 1}] * 10},
    ]
    put(folder, f"{prefix}OpenEnded_mscoco_train2014_questions.json", {"info": {}, "questions": questions})
    put(folder, f"{prefix}mscoco_train2014_annotations.json", {"info": {}, "annotations": answers})
    pictures(folder, "train2014/COCO_train2014_000000458752.jpg")


def visual_genome(folder: Path) -> None:
    put(folder, "question_answers.json", [
        {"id": 1, "qas": [
            {"qa_id": 986769, "image_id": 1, "question": "What color is the clock?", "answer": "Green."},
            {"qa_id": 986768, "image_id": 1, "question": "How tall is the light post?", "answer": "10 feet."},
        ]},
        {"id": 2, "qas": []},
        {"id": 3, "qas": [{"qa_id": 5, "image_id": 3, "question": "Where is it?", "answer": "Street."}]},
    ])  # fmt: skip
    pictures(folder, "VG_100K/1.jpg", "VG_100K_2/3.jpg")


def visual7w(folder: Path) -> None:
    pair = {
        "qa_id": 1,
        "image_id": 2,
        "question": "What endangers?",
        "answer": "Rain.",
        "type": "what",
        "multiple_choices": ["Sun.", "Wind.", "Snow."],
    }
    rows = [
        {"image_id": 2, "filename": "v7w_2.jpg", "split": "train", "qa_pairs": [pair]},
        {"image_id": 3, "filename": "v7w_3.jpg", "split": "val", "qa_pairs": [pair]},
        {"image_id": 4, "filename": "v7w_4.jpg", "split": "train", "qa_pairs": [{**pair, "qa_id": 12}]},
    ]
    put(folder, "dataset_v7w_telling.json", {"dataset": "visual7w-telling", "images": rows})
    pictures(folder, "images/v7w_2.jpg", "images/v7w_4.jpg")


def tallyqa(folder: Path) -> None:
    put(
        folder,
        "train.json",
        [
            {
                "image": "VG_100K/1.jpg",
                "answer": 3,
                "data_source": "tdiuc",
                "question": "How many cars?",
                "image_id": 1,
                "question_id": 7,
            },
            {
                "image": "train2014/COCO_1.jpg",
                "answer": 0,
                "data_source": "vqa",
                "question": "How many dogs?",
                "image_id": 2,
                "question_id": 8,
            },
        ],
    )
    pictures(folder, "VG_100K/1.jpg", "train2014/COCO_1.jpg")


def vizwiz(folder: Path) -> None:
    answers = [{"answer_confidence": "yes", "answer": "basil"}] * 10
    rows = [
        {"image": f"VizWiz_train_{number:08d}.jpg", "question": "What is it?", "answers": answers, "answerable": 1}
        for number in range(2)
    ]
    put(folder, "Annotations/train.json", rows)
    pictures(folder, "train/VizWiz_train_00000000.jpg", "train/VizWiz_train_00000001.jpg")


def aokvqa(folder: Path) -> None:
    put(
        folder,
        "aokvqa_v1p0_train.json",
        [
            {
                "split": "train",
                "image_id": 299207,
                "question_id": "22MexNkBPpdZGX6sxbxVBH",
                "question": "What is the man by the bags awaiting?",
                "choices": ["skateboarder", "train", "delivery", "cab"],
                "correct_choice_idx": 3,
                "direct_answers": ["ride"] * 10,
            },
            {
                "split": "train",
                "image_id": 299207,
                "question_id": "b",
                "question": "What is in the bags?",
                "choices": ["clothes", "food"],
                "correct_choice_idx": 0,
                "direct_answers": ["clothes"] * 10,
            },
        ],
    )
    pictures(folder, "train2017/000000299207.jpg")


def gqa(folder: Path) -> None:
    put(
        folder,
        "train_balanced_questions.json",
        {
            "07333408": {
                "imageId": "2375429",
                "question": "What is on the white wall?",
                "answer": "pipe",
                "fullAnswer": "The pipe is on the wall.",
                "isBalanced": True,
            },
            "07333405": {
                "imageId": "2375429",
                "question": "Is that pipe red?",
                "answer": "no",
                "fullAnswer": "No.",
                "isBalanced": True,
            },
        },
    )
    pictures(folder, "images/2375429.jpg")


def super_clevr(folder: Path) -> None:
    row = {"image_filename": "superCLEVR_new_000000.png", "program": [], "question_family_index": 1}
    put(folder, "superCLEVR_questions_30k.json", {"info": {}, "questions": [
        {**row, "question_index": 0, "split": "train", "question": "Is there a bus?", "answer": True},
        {**row, "question_index": 1, "split": "val", "question": "What size?", "answer": "small"},
        {**row, "question_index": 2, "split": "train", "question": "How many bikes?", "answer": 2},
    ]})  # fmt: skip
    pictures(folder, "images/superCLEVR_new_000000.png")


def vsr(folder: Path) -> None:
    row = {"image": "000000050403.jpg", "image_link": "http://images.cocodataset.org/train2017/000000050403.jpg"}
    put(folder, "train.jsonl", [
        {**row, "caption": "The teddy bear is in front of the person.", "label": 1, "relation": "in front of"},
        {**row, "caption": "The person is under the umbrella.", "label": 0, "relation": "under"},
    ])  # fmt: skip
    pictures(folder, "images/000000050403.jpg")


def dvqa(folder: Path) -> None:
    row = {"image": "bar_train_00000001.png", "template_id": "data", "answer_bbox": []}
    put(folder, "train_qa.json", [
        {**row, "question": "How many objects are preferred by less than 7 people?", "question_id": 1, "answer": "two"},
        {**row, "question": "What is the label of the first bar?", "question_id": 2, "answer": "object"},
    ])  # fmt: skip
    pictures(folder, "images/bar_train_00000001.png")


def plotqa(folder: Path) -> None:
    row = {"image_index": 0, "template": "data_retrieval", "answer_bbox": {}}
    put(folder, "train/qa_pairs_V2.json", {"qa_pairs": [
        {**row, "question_id": 0, "question_string": "What is the label of the 4th group?", "answer": "Bulgaria"},
        {**row, "question_id": 1, "question_string": "What is the difference?", "answer": 0.45},
    ]})  # fmt: skip
    pictures(folder, "train/png/0.png")


def figureqa(folder: Path) -> None:
    row = {"image_index": 4, "color1_name": "Red", "color2_name": "--None--", "question_id": 0}
    put(folder, "train1/qa_pairs.json", {"qa_pairs": [
        {**row, "question_string": "Is Red the minimum?", "answer": 0},
        {**row, "question_string": "Is Red the maximum?", "answer": 1},
    ], "total_distinct_questions": 2})  # fmt: skip
    pictures(folder, "train1/png/4.png")


def chartqa(folder: Path) -> None:
    put(folder, "train/train_human.json", [{"imgname": "10095.png", "query": "How many bars?", "label": "4"}])
    put(
        folder, "train/train_augmented.json", [{"imgname": "10095.png", "query": "In 2019, how much?", "label": "17.5"}]
    )
    pictures(folder, "train/png/10095.png")


def mmc_instruction(folder: Path) -> None:
    put(folder, "mmc_instruction_arxiv_text.jsonl", [
        {"image_id": "figures/1.png", "instruction": "Explain the trend.", "label": "It rises from 2010 on."},
        {"image_id": "figures/1.png", "instruction": "What is the title?", "label": "Growth."},
    ])  # fmt: skip
    pictures(folder, "figures/1.png")


def infographicvqa(folder: Path) -> None:
    put(
        folder,
        "infographicsVQA_train_v1.0.json",
        {
            "dataset_name": "infographicVQA",
            "data": [
                {
                    "questionId": 65718,
                    "question": "Which platform has the most users?",
                    "image_local_name": "20471.jpeg",
                    "image_url": "https://example.invalid/a.jpg",
                    "answers": ["youtube"],
                    "data_split": "train",
                },
                {
                    "questionId": 65719,
                    "question": "Who?",
                    "image_local_name": "20471.jpeg",
                    "answers": ["men"],
                    "data_split": "train",
                },
            ],
        },
    )
    pictures(folder, "infographicsvqa_images/20471.jpeg")


def docvqa(folder: Path) -> None:
    put(
        folder,
        "train_v1.0_withQT.json",
        {
            "dataset_name": "SP-DocVQA",
            "dataset_split": "train",
            "data": [
                {
                    "questionId": 337,
                    "question": "what is the date mentioned in this letter?",
                    "image": "documents/xnbl0037_1.png",
                    "docId": 279,
                    "answers": ["1/8/93"],
                    "data_split": "train",
                },
                {
                    "questionId": 338,
                    "question": "what is the contact person name?",
                    "image": "documents/xnbl0037_1.png",
                    "docId": 279,
                    "answers": ["P. Carter", "p. carter"],
                    "data_split": "train",
                },
            ],
        },
    )
    pictures(folder, "documents/xnbl0037_1.png")


def ocr_vqa(folder: Path) -> None:
    row = {"imageURL": "http://ecx.images-amazon.com/images/I/51l.jpg", "title": "Mom's", "split": 1}
    put(
        folder,
        "dataset.json",
        {
            "761183272": {
                **row,
                "questions": ["Who is the author?", "Is it a comic?"],
                "answers": ["Sandra Boynton", "No"],
            },
            "1": {**row, "split": 3, "questions": ["Who?"], "answers": ["A"]},
            "B00X": {**row, "questions": ["What genre?"], "answers": ["Calendars"]},
        },
    )
    pictures(folder, "images/761183272.jpg", "images/B00X.jpg")


def scene_text(folder: Path, annotations: str, picture_folder: str, first: str, second: str) -> None:
    put(folder, annotations, {
        "info": {}, "cats": {},
        "imgs": {
            first: {"id": first, "file_name": f"train/{first}.jpg", "width": 40, "height": 20, "set": "train"},
            second: {"id": second, "file_name": f"train/{second}.jpg", "width": 40, "height": 20, "set": "train"},
            "c3": {"id": "c3", "file_name": "train/c3.jpg", "width": 40, "height": 20, "set": "val"},
        },
        "anns": {
            "a1_1": {"id": "a1_1", "image_id": first, "bbox": [4, 5, 10, 5], "utf8_string": "STOP"},
            "a1_2": {"id": "a1_2", "image_id": first, "bbox": [20, 5, 10, 5], "utf8_string": "."},
            "b2_1": {"id": "b2_1", "image_id": second, "bbox": [0, 0, 40, 20], "utf8_string": "Taxi"},
        },
        "imgToAnns": {first: ["a1_1", "a1_2"], second: ["b2_1"], "c3": []},
    })  # fmt: skip
    pictures(folder, f"{picture_folder}/{first}.jpg", f"{picture_folder}/{second}.jpg")


def rects(folder: Path) -> None:
    lines = [
        {"transcription": "学习", "points": [0, 0, 20, 0, 20, 10, 0, 10], "ignore": 0},
        {"transcription": "###", "points": [0, 0, 20, 0, 20, 10, 0, 10], "ignore": 1},
    ]
    for name in ("train_ReCTS_000001", "train_ReCTS_000002"):
        put(folder, f"gt/{name}.json", {"chars": [], "lines": lines})
        pictures(folder, f"img/{name}.jpg")


def whole(folder: Path, file: str, picture_folder: str) -> None:
    square, six = [[4, 2], [20, 2], [20, 10], [4, 10]], [[0, 4], [10, 0], [40, 4], [40, 20], [20, 10], [0, 20]]
    put(folder, file, {
        "gt_1": [{"transcription": "Diary", "points": square, "language": "Latin", "illegibility": False}],
        "gt_2": [{"transcription": "curved", "points": six, "language": "Latin", "illegibility": False},
                 {"transcription": "blurred", "points": square, "language": "Latin", "illegibility": True}],
    })  # fmt: skip
    pictures(folder, f"{picture_folder}/gt_1.jpg", f"{picture_folder}/gt_2.jpg")


def rctw(folder: Path) -> None:
    put(folder, "train_gts/image_0.txt", '\ufeff390,902,1856,902,1856,1225,390,1225,0,"金氏眼镜"\n')
    put(folder, "train_gts/image_1.txt", '0,0,20,0,20,10,0,10,0,"a, b"\n0,0,20,0,20,10,0,10,1,"###"\n')
    put(folder, "train_images/image_0.jpg", picture(2000, 1500))
    pictures(folder, "train_images/image_1.jpg")


def textvqa(folder: Path) -> None:
    row = {"image_id": "0054c91397f2fe05", "image_width": 40, "image_height": 20, "set_name": "train"}
    put(folder, "TextVQA_0.5.1_train.json", {"dataset_type": "train", "data": [
        {**row, "question_id": 0, "question": "what is the brand of phone?", "answers": ["nokia"] * 10},
        {**row, "question_id": 1, "question": "what time is it?", "answers": ["11:20"] * 10},
    ]})  # fmt: skip
    pictures(folder, "train_images/0054c91397f2fe05.jpg")


def st_vqa(folder: Path) -> None:
    row = {"file_path": "coco-text/COCO_train2014_1.jpg", "file_name": "COCO_train2014_1.jpg", "dataset": "coco-text"}
    put(folder, "train_task_3.json", {"task_name": "task 3", "data": [
        {**row, "question_id": 1, "question": "What is the price?", "answers": ["$ 5"]},
        {**row, "question_id": 2, "question": "Which street?", "answers": ["Main"]},
    ]})  # fmt: skip
    pictures(folder, "coco-text/COCO_train2014_1.jpg")


def screenqa(folder: Path) -> None:
    put(
        folder,
        "short_answers/train.json",
        [
            {
                "image_id": "23",
                "image_width": 40,
                "image_height": 20,
                "question": "What is the date?",
                "ground_truth": ["May 4", "4 May"],
            },
            {"image_id": "23", "image_width": 40, "image_height": 20, "question": "Is it on?", "ground_truth": ["on"]},
        ],
    )
    pictures(folder, "combined/23.jpg")


def sroie(folder: Path) -> None:
    for id in ("X1", "X2"):
        fields = {"company": "BOOK TA .K", "date": "25/12/2018", "address": "", "total": "9.00"}
        put(folder, f"train/entities/{id}.txt", fields)
        put(
            folder,
            f"train/box/{id}.txt",
            "72,25,326,25,326,64,72,64,TAN WOON YANN\n50,82,440,82,440,121,50,121,NO.53, JALAN\n",
        )
        pictures(folder, f"train/img/{id}.jpg")


def funsd(folder: Path) -> None:
    form = [
        {"id": 0, "text": "Date:", "box": [0, 0, 20, 10], "label": "question", "linking": [[0, 1]], "words": []},
        {"id": 1, "text": "May 4", "box": [20, 0, 40, 10], "label": "answer", "linking": [[0, 1]], "words": []},
        {"id": 2, "text": "", "box": [0, 10, 4, 20], "label": "other", "linking": [], "words": []},
    ]
    for id in ("0000971160", "00040534"):
        put(folder, f"training_data/annotations/{id}.json", {"form": form})
        pictures(folder, f"training_data/images/{id}.png")


def squad_rendered(folder: Path) -> None:
    answered = {"id": "56", "question": "What is on top?", "answers": [{"text": "a golden statue", "answer_start": 9}]}
    unanswered = {"id": "57", "question": "When?", "answers": [], "is_impossible": True}
    paragraphs = [{"context": "There is a golden statue on top.", "qas": [answered, unanswered]}] * 2
    put(folder, "train-v2.0.json", {"version": "v2.0", "data": [{"title": "Notre_Dame", "paragraphs": paragraphs}]})


def gsm8k_rendered(folder: Path) -> None:
    put(folder, "train.jsonl", [
        {"question": "Tom has 2 dogs and buys 3. How many?", "answer": "He has 2 + 3 = <<2+3=5>>5 dogs.\n#### 5"},
        {"question": "Half of 8?", "answer": "It is <<8/2=4>>4.\n#### 4"},
    ])  # fmt: skip


def clevr_math(folder: Path) -> None:
    row = {"template": "subtraction", "split": "train", "image_filename": "CLEVR_train_000000.png"}
    put(folder, "clevr-math-train.json", {"info": {}, "questions": [
        {**row, "id": 1, "question": "Subtract all green spheres. How many objects are left?", "answer": 4},
        {**row, "id": 2, "question": "Add 2 cubes. How many objects exist?", "answer": 7},
    ]})  # fmt: skip
    pictures(folder, "CLEVR_v1.0/images/train/CLEVR_train_000000.png")


def tabmwp(folder: Path) -> None:
    put(
        folder,
        "problems_train.json",
        {
            "2": {
                "question": "What is the smallest?",
                "choices": None,
                "answer": "75",
                "unit": "points",
                "solution": "Look at the first row.",
                "split": "train",
            },
            "3": {
                "question": "Is it linear?",
                "choices": ["linear", "nonlinear"],
                "answer": "nonlinear",
                "unit": None,
                "solution": "No.",
                "split": "train",
            },
        },
    )
    pictures(folder, "tables/2.png", "tables/3.png")


def ai2d(folder: Path) -> None:
    question = {
        "abcLabel": False,
        "answerTexts": ["face", "teeth", "legs", "bowels"],
        "correctAnswer": 1,
        "questionId": "0.png-0",
    }
    for number in range(3):
        put(
            folder,
            f"questions/{number}.png.json",
            {"imageName": f"{number}.png", "questions": {"What is shown?": question}},
        )
    put(folder, "ai2d_test_ids.csv", "2\n")
    pictures(folder, "images/0.png", "images/1.png")


def scienceqa(folder: Path) -> None:
    row = {"choices": ["solid", "gas"], "answer": 0, "hint": "", "image": None, "split": "train", "lecture": ""}
    put(folder, "problems.json", {
        "1": {**row, "question": "What is ice?", "image": "image.png", "hint": "Look at the picture."},
        "2": {**row, "question": "What is steam?", "answer": 1},
        "3": {**row, "question": "What is water?", "split": "test"},
    })  # fmt: skip
    pictures(folder, "train/1/image.png")


def lrv_instruction(folder: Path) -> None:
    put(folder, "filter_cap1.json", [
        {"image_id": "2392588", "question": "Describe the man.", "answer": "He sits at a desk.", "task": "caption"},
        {"image_id": "2392588", "question": "Is there a cat?", "answer": "No.", "task": "existence"},
    ])  # fmt: skip
    pictures(folder, "image/2392588.jpg")


def llava_158k(folder: Path) -> None:
    first, second = {"from": "human", "value": "What is it?\n<image>"}, {"from": "gpt", "value": "A bus."}
    put(folder, "llava_instruct_150k.json", [
        {"id": "000000033471", "image": "000000033471.jpg", "conversations": [first, second]},
        {"id": "2", "image": "000000033471.jpg",
         "conversations": [{"from": "human", "value": "And this?"}, {"from": "gpt", "value": "<image>\nA car."}]},
    ])  # fmt: skip
    pictures(folder, "000000033471.jpg")


def cc3m(folder: Path) -> None:
    with tarfile.open(folder / "00000.tar", "w") as tar:
        for key in ("000000000", "000000002"):
            for ending, content in (("jpg", picture()), ("txt", b"a red field "), ("json", b'{"status": "success"}')):
                member = tarfile.TarInfo(f"{key}.{ending}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))


def conversations(folder: Path) -> None:
    put(
        folder,
        "oo-labeled_correct.gpt4.sharegpt.jsonl",
        [
            {
                "conversations": [
                    {"from": "system", "value": "Be brief."},
                    {"from": "human", "value": "Hi"},
                    {"from": "gpt", "value": "Hello."},
                ]
            },
            {"conversations": [{"from": "human", "value": "2 + 2?"}, {"from": "gpt", "value": "4", "weight": 1.0}]},
        ],
    )


def instructions(file: str, instruction: str, output: str, **more: str) -> Writer:
    def write(folder: Path) -> None:
        put(folder, file, [{instruction: "Add 1 and 2.", output: "3", **more}, {instruction: "Say hi.", output: "Hi."}])

    return write


def parquet(file: str, rows: Callable[[], list[dict[str, Any]]]) -> Writer:
    def write(folder: Path) -> None:
        import pyarrow
        import pyarrow.parquet

        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows()), folder / file)

    return write


def cell() -> dict[str, Any]:
    return {"bytes": picture(), "path": "0.jpg"}


PUBLISHED: dict[str, Writer] = {
    "coco": coco,
    "cc3m": cc3m,
    "textcaps": textcaps,
    "vqav2": vqav2,
    "visual_genome": visual_genome,
    "tallyqa": tallyqa,
    "visual7w": visual7w,
    "vizwiz": vizwiz,
    "okvqa": lambda folder: vqav2(folder, prefix=""),
    "aokvqa": aokvqa,
    "gqa": gqa,
    "super_clevr": super_clevr,
    "vsr": vsr,
    "dvqa": dvqa,
    "plotqa": plotqa,
    "mmc_instruction": mmc_instruction,
    "chartqa": chartqa,
    "infographicvqa": infographicvqa,
    "figureqa": figureqa,
    "docvqa": docvqa,
    "ocr_vqa": ocr_vqa,
    "coco_text": lambda folder: scene_text(folder, "cocotext.v2.json", "train2014", "a1", "a2"),
    "textocr": lambda folder: scene_text(folder, "TextOCR_0.1_train.json", "train_images", "a0", "b2"),
    "rects": rects,
    "rrc_art": lambda folder: whole(folder, "train_labels.json", "train_images"),
    "rrc_lsvt": lambda folder: whole(folder, "train_full_labels.json", "train_full_images"),
    "rctw": rctw,
    "textvqa": textvqa,
    "st_vqa": st_vqa,
    "screenqa": screenqa,
    "sroie": sroie,
    "funsd": funsd,
    "squad_rendered": squad_rendered,
    "clevr_math": clevr_math,
    "tabmwp": tabmwp,
    "gsm8k_rendered": gsm8k_rendered,
    "metamathqa_rendered": instructions("MetaMathQA-395K.json", "query", "response"),
    "ai2d": ai2d,
    "scienceqa": scienceqa,
    "lrv_instruction": lrv_instruction,
    "llava_158k": llava_158k,
    "slimorca": conversations,
    "gpteacher": instructions("Instruct/gpt4-instruct.json", "instruction", "response", input="As a digit."),
    "alpacagpt4": instructions("data/alpaca_gpt4_data.json", "instruction", "output", input=""),
    "mathinstruct": instructions("MathInstruct.json", "instruction", "output", source="PoT/gsm.json"),
    "metamath": instructions("MetaMathQA-395K.json", "query", "response", type="GSM_Rephrased"),
    "magicoder": instructions("data-oss_instruct-decontaminated.jsonl", "problem", "solution", lang="python"),
}
"""Datasets whose files are JSON, text or tar."""

PUBLISHED_IN_PARQUET: dict[str, Writer] = {
    "docmatix": parquet(
        "data/train-00000-of-00200.parquet",
        lambda: [
            {
                "images": [cell(), cell()],
                "texts": [
                    {"user": "What is the purpose?", "assistant": "To inform.", "source": "PDFA key: 1"},
                    {"user": "How many?", "assistant": "Four.", "source": "PDFA key: 1"},
                ],
            },
            {"images": [cell()], "texts": [{"user": "Who?", "assistant": "The council.", "source": "PDFA key: 2"}]},
        ],
    ),
    "orand": parquet(
        "orand_car_a/train-00000-of-00001.parquet",
        lambda: [
            {
                "id": str(number),
                "image": cell(),
                "data_source": "ORAND",
                "conversations": [
                    {"from": "human", "value": "<image>\nRead the digits."},
                    {"from": "gpt", "value": "407"},
                ],
            }
            for number in range(2)
        ],
    ),
    "synthdog_en": parquet(
        "data/train-00000-of-00084.parquet",
        lambda: [
            {"image": cell(), "ground_truth": json.dumps({"gt_parse": {"text_sequence": text}})}
            for text in ("was also a member", "of the board")
        ],
    ),
    "websight": parquet(
        "data/train-00000-of-00071.parquet",
        lambda: [
            {"image": cell(), "text": f"<html>{number}</html>", "llm_generated_idea": "A page."} for number in range(2)
        ],
    ),
    "ultrainteract": parquet(
        "0000_sft.parquet",
        lambda: [
            {"task": "Coding", "instruction": "Write a loop.", "response": "for i in x: ...", "id": str(number)}
            for number in range(2)
        ],
    ),
    "orca_math": parquet(
        "data/train-00000-of-00001.parquet",
        lambda: [{"question": "What is 1 + 2?", "answer": "It is 3."}, {"question": "Half of 8?", "answer": "4."}],
    ),
    "glaive_code_assistant": parquet(
        "data/train-00000-of-00001.parquet",
        lambda: [{"question": "What is a loop?", "answer": "It repeats."}, {"question": "A list?", "answer": "A row."}],
    ),
}
"""Datasets whose files are Parquet: they take pyarrow."""
