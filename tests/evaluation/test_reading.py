import pytest
from PIL import Image

from nvlm.evaluation import reading
from nvlm.evaluation.reading import Cell, image_source, lines, picture_name, table
from tests.evaluation.sets import cell


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_lines_are_objects(tmp_path):
    assert list(lines(write(tmp_path / "a", '{"a": 1}\n\n{"b": 2}'))) == [{"a": 1}, {"b": 2}]
    with pytest.raises(ValueError, match=r"line 2: .*cut short"):
        list(lines(write(tmp_path / "b", '{"a": 1}\n{"b"')))
    with pytest.raises(ValueError, match="line 1 holds no JSON object"):
        list(lines(write(tmp_path / "c", "[1]\n")))


def test_parquet_rows_come_without_their_pictures(tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    rows = [{"n": number, "image": cell(), "tags": ["a"]} for number in range(5)]
    path = tmp_path / "a.parquet"
    parquet.write_table(arrow.Table.from_pylist(rows), path, row_group_size=2)
    read = list(table([path, path], ("image", "not there")))
    assert [row["n"] for row in read] == [0, 1, 2, 3, 4] * 2
    assert read[3] == {"n": 3, "tags": ["a"], "image": Cell(path, 1, 1, "image")}
    assert image_source(read[3]["image"]) == rows[3]["image"]["bytes"]
    assert picture_name(read[3]["image"]) == "a.parquet#1.1.image"


def test_an_empty_cell_is_told(tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    parquet.write_table(arrow.Table.from_pylist([{"image": None}, {"image": cell()}]), path)
    with pytest.raises(ValueError, match=r"#0\.0\.image holds no picture"):
        Cell(path, 0, 0, "image").read()


def test_without_pyarrow_the_error_says_what_to_install(tmp_path, monkeypatch):
    def fail(name):
        raise ImportError(name)

    monkeypatch.setattr(reading, "import_module", fail)
    with pytest.raises(ValueError, match="pip install pyarrow"):
        next(table([tmp_path / "a.parquet"], ()))


def test_a_picture_has_a_name(tmp_path):
    assert picture_name(Image.new("RGB", (4, 2))) == "drawn, 4x2"
    assert picture_name(tmp_path / "a.png") == str(tmp_path / "a.png")
    assert image_source(tmp_path) == tmp_path
