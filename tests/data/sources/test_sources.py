"""Every converter on two rows in the dataset's own format; `golden/samples.txt` holds what comes out."""

from pathlib import Path

import pytest

from nvlm.data.manifest import read_manifest
from nvlm.data.plan import make_plan
from nvlm.data.prepare import check_messages
from nvlm.data.sources.families import FAMILIES, GENERIC
from nvlm.data.sources.source import Source
from tests.data.sources.published import PUBLISHED, PUBLISHED_IN_PARQUET, Writer, pictures, put
from tests.data.sources.shown import convert, shown

SECTIONS = (Path(__file__).parent / "golden" / "samples.txt").read_text("utf-8").removeprefix("=== ").split("\n\n=== ")
GOLDEN = {name: text.strip() for name, text in (section.split("\n", 1) for section in SECTIONS)}
ALL = PUBLISHED | PUBLISHED_IN_PARQUET


def compare(name: str, write: Writer, folder: Path) -> None:
    write(folder)
    originals = convert(name, folder)
    assert "\n".join(shown(original, folder) for original in originals) == GOLDEN[name]
    for original in originals:
        check_messages(original.messages, len(original.pictures))
        assert all(isinstance(each, bytes) or each.is_file() for each in original.pictures)


@pytest.mark.parametrize("name", PUBLISHED)
def test_golden_samples(name: str, tmp_path: Path) -> None:
    compare(name, PUBLISHED[name], tmp_path)


@pytest.mark.parametrize("name", PUBLISHED_IN_PARQUET)
def test_golden_samples_of_parquet(name: str, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    compare(name, PUBLISHED_IN_PARQUET[name], tmp_path)


def test_every_row_of_the_manifest_with_a_format_of_its_own_has_a_fixture() -> None:
    """Rows of the same converter with the same options (The Cauldron's, LLaVA's) stand for each other."""
    manifest = read_manifest()
    tested = {(manifest[name].converter, tuple(manifest[name].options.items())) for name in ALL}
    in_common = {"llava", "cauldron", "instruct", "img2dataset"}
    untested = [
        name
        for name, row in manifest.items()
        if row.converter
        and row.converter not in in_common
        and (row.converter, tuple(row.options.items())) not in tested
    ]
    assert untested == []
    assert {row.converter for row in manifest.values() if row.converter} <= {converter for converter, _ in tested}
    assert set(FAMILIES) == {row.converter for row in manifest.values() if row.converter} | set(GENERIC)


def test_the_golden_file_has_no_other_sections() -> None:
    assert set(GOLDEN) == set(ALL)


@pytest.mark.parametrize(
    ("name", "question"),
    [
        ("vqav2", "Question: What is this photo taken looking through? Short answer:"),
        ("ocr_vqa", "Question: Who is the author? Short answer:"),
    ],
)
def test_pretraining_asks_in_other_words(name: str, question: str, tmp_path: Path) -> None:
    PUBLISHED[name](tmp_path)
    assert convert(name, tmp_path, "pretrain")[0].messages[0]["content"][1]["text"] == question


def test_a_subset_is_found_in_its_collection(tmp_path: Path) -> None:
    (tmp_path / "raven").mkdir()
    assert make_plan("raven", tmp_path, tmp_path).source.folder == tmp_path / "raven"
    assert make_plan("hitab", tmp_path, tmp_path).source.folder == tmp_path


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"no file train/train_human.json or train/train_augmented.json, which chartqa needs"
    ):
        convert("chartqa", tmp_path)


def test_several_files_where_there_should_be_one(tmp_path: Path) -> None:
    for name in ("annotations/captions_train2017.json", "captions_train2017.json"):
        put(tmp_path, name, {})
    with pytest.raises(ValueError, match="2 files"):
        convert("coco", tmp_path)


def test_files_of_two_releases_do_not_join(tmp_path: Path) -> None:
    PUBLISHED["vqav2"](tmp_path)
    put(tmp_path, "v2_mscoco_train2014_annotations.json", {"annotations": []})
    with pytest.raises(ValueError, match="no answer to question 458752000; are the files of one release"):
        convert("vqav2", tmp_path)


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "a/../../b.png", "..\\b.png", ""])
def test_pictures_stay_below_the_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not below"):
        Source("any", tmp_path).picture(name)


def generic(format: str, folder: Path, *fields: str) -> list[str]:
    plan = make_plan("mine", folder, folder, format=format, fields=fields)
    rows = [row for row in FAMILIES[format].rows(plan.source) if not isinstance(row, ValueError)]
    return [shown(FAMILIES[format].sample(row, plan.source), folder) for row in rows]


def test_rows_of_anybodys_own(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png")
    parts = [{"type": "image", "path": "elsewhere"}, {"type": "text", "text": "What?"}]
    answer = {"role": "assistant", "content": "A dot."}
    rows = [
        {"id": 1, "image": "a.png", "question": "What?", "answer": "A dot."},
        {"id": 2, "image": "a.png", "question": "What?", "answer": "dot", "choices": ["dot", "line"]},
        {"id": 3, "images": ["a.png"], "messages": [{"role": "user", "content": "<image>\nWhat?"}, answer]},
        {"id": 4, "images": ["a.png"], "messages": [{"role": "user", "content": parts}, answer]},
        {"id": 5, "images": ["a.png"], "messages": [{"role": "user", "content": "What?"}, answer]},
        {"id": 6, "image": "a.png", "caption": "A dot."},
        {"id": 7, "messages": [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Ho."}]},
        {
            "id": 8,
            "image": "a.png",
            "conversations": [{"from": "human", "value": "What?"}, {"from": "gpt", "value": "A dot."}],
        },
        {"id": 9, "images": ["a.png"], "texts": [{"user": "What?", "assistant": "A dot."}]},
    ]
    put(tmp_path, "rows.jsonl", rows)
    made = generic("jsonl", tmp_path)
    asked = "pictures: a.png\nuser: <image>What?\nassistant: A dot."
    assert [made[index] for index in (0, 2, 3, 4, 7)] == [f"id {index + 1}; {asked}" for index in (0, 2, 3, 4, 7)]
    assert made[1].endswith(
        "A. dot\n    B. line\n    Answer with the option's letter from the given choices directly.\nassistant: A"
    )
    assert made[5].endswith("assistant: A dot.")
    assert made[6] == "id 7; pictures: –\nuser: Hi.\nassistant: Ho."
    assert made[8] == f"id –; {asked}"


def test_fields_of_other_names(tmp_path: Path) -> None:
    put(tmp_path, "rows.jsonl", [{"sentence": "There is a block.", "label": "false"}])
    assert generic("jsonl", tmp_path, "question=sentence", "answer=label") == [
        "id –; pictures: –\nuser: There is a block.\nassistant: false"
    ]


def test_a_row_of_no_known_form(tmp_path: Path) -> None:
    put(tmp_path, "rows.jsonl", [{"sentence": "There is a block.", "label": "false"}])
    with pytest.raises(ValueError, match=r"fields sentence, label has neither messages.*--fields question="):
        generic("jsonl", tmp_path)


def test_of_a_hugging_face_dataset_only_the_training_split_is_read(tmp_path: Path) -> None:
    for name in (
        "dataset_infos.json",
        "README.md",
        "data/train-00000-of-00001.parquet",
        "data/test-00000-of-00001.parquet",
    ):
        put(tmp_path / "downloaded", name, "{}")
    for name in (
        "dataset_dict.json",
        "train/data-00000-of-00001.arrow",
        "train/state.json",
        "test/data-00000-of-00001.arrow",
    ):
        put(tmp_path / "saved", name, "{}")
    downloaded, saved = (Source("any", tmp_path / name).data_files() for name in ("downloaded", "saved"))
    assert [path.name for path in downloaded] == ["train-00000-of-00001.parquet"]
    assert [path.relative_to(tmp_path).as_posix() for path in saved] == ["saved/train/data-00000-of-00001.arrow"]


def test_a_saved_hugging_face_dataset(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.Table.from_pylist(
        [{"image": {"bytes": b"x", "path": None}, "question": "What?", "answer": "A dot."}]
    )
    put(tmp_path, "state.json", {})
    path = str(tmp_path / "data-00000-of-00001.arrow")
    with pyarrow.OSFile(path, "wb") as file, pyarrow.ipc.new_stream(file, table.schema) as out:
        out.write_table(table)
    assert generic("jsonl", tmp_path) == ["id –; pictures: bytes\nuser: <image>What?\nassistant: A dot."]


def test_a_folder_without_rows(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no file .*\*\.jsonl.*, which mine needs"):
        generic("jsonl", tmp_path)


def test_a_folder_of_pictures(tmp_path: Path) -> None:
    pictures(tmp_path, "b.png", "inner/a.jpg", "c.jpg")
    put(tmp_path, "b.txt", "A dot.\n")
    put(tmp_path, "inner/a.txt", "A line.")
    source = Source("mine", tmp_path)
    rows = list(FAMILIES["folder"].rows(source))
    first = FAMILIES["folder"].sample(rows[0], source)
    assert (first.id, first.messages[1]["content"]) == ("b.png", "A dot.")
    with pytest.raises(ValueError, match=r"no c\.txt with its caption"):
        FAMILIES["folder"].sample(rows[1], source)
    assert FAMILIES["folder"].sample(rows[2], source).id == "inner/a.jpg"


def test_a_folder_without_pictures(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no pictures"):
        list(FAMILIES["folder"].rows(Source("mine", tmp_path)))
