import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvlm.data import reading
from nvlm.data.lookup import Lookup
from nvlm.data.reading import elements, entries, lines, objects, tar_groups, values

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(rows=st.lists(JSON, max_size=6), piece=st.integers(1, 20), indent=st.none() | st.just(2))
def test_a_list_is_read_as_it_is_whatever_the_pieces(tmp_path_factory, rows, piece, indent) -> None:
    path = tmp_path_factory.getbasetemp() / "list.json"
    path.write_text(json.dumps({"other": [[1, "]"], {"a": {}}], "rows": rows, "end": 1}, indent=indent), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "PIECE", piece)
        assert list(elements(path, "rows")) == rows
        assert list(values(path)) == [[1, "]"], {"a": {}}, *rows, 1]


@given(pairs=st.dictionaries(st.text(), JSON, max_size=6), piece=st.integers(1, 20))
def test_an_object_is_read_as_it_is_whatever_the_pieces(tmp_path_factory, pairs, piece) -> None:
    path = tmp_path_factory.getbasetemp() / "object.json"
    path.write_text(json.dumps(pairs, ensure_ascii=False), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "PIECE", piece)
        assert dict(entries(path)) == pairs


def test_only_a_piece_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "long.json"
    path.write_text(json.dumps([{"number": number, "text": "x" * 50} for number in range(5000)]), "utf-8")
    monkeypatch.setattr(reading, "PIECE", 1000)
    held = []
    original = reading._Reader._read

    def watched(self: Any, size: int) -> None:
        original(self, size)
        held.append(len(self._held))

    monkeypatch.setattr(reading._Reader, "_read", watched)
    assert sum(1 for _ in elements(path)) == 5000
    assert max(held) < 3000 < path.stat().st_size / 100


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1, 2", "ends in the middle"),
        ('[{"a": ', "no readable JSON"),
        ('{"a": 1}', "'\\[' was expected where '{' stands"),
        ("", "ends in the middle"),
        ("[1 2]", "',' was expected where '2' stands"),
    ],
)
def test_a_damaged_list_is_said_to_be_so(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text(text, "utf-8")
    with pytest.raises(ValueError, match=f"bad.json.*{said}"):
        list(elements(tmp_path / "bad.json"))


def test_a_key_that_is_missing(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"rows": []}', "utf-8")
    with pytest.raises(ValueError, match="has no 'questions'"):
        list(elements(tmp_path / "other.json", "questions"))


def test_a_bad_line_does_not_end_the_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n\n{"a": \n[1]\n{"a": 2}\n', "utf-8")
    first, torn, no_object, last = lines(path)
    assert (first, last) == ({"a": 1}, {"a": 2})
    assert "rows.jsonl, line 3" in str(torn) and "line 4 holds no JSON object" in str(no_object)


def test_gzipped_lines(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress(b'{"a": 1}\n'))
    assert list(objects([tmp_path / "rows.jsonl.gz"])) == [{"a": 1}]


def test_files_of_no_known_kind(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"rows\.xml: rows are read from"):
        list(objects([tmp_path / "rows.xml"]))


def test_parquet_and_arrow(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet")
    table = pyarrow.Table.from_pylist([{"a": number, "picture": {"bytes": b"x"}} for number in range(40)])
    pyarrow.parquet.write_table(table, tmp_path / "rows.parquet")
    with pyarrow.OSFile(str(tmp_path / "rows.arrow"), "wb") as file, pyarrow.ipc.new_stream(file, table.schema) as out:
        out.write_table(table)
    assert list(objects([tmp_path / "rows.parquet"])) == table.to_pylist() == list(objects([tmp_path / "rows.arrow"]))
    for name in ("bad.parquet", "bad.arrow"):
        (tmp_path / name).write_bytes(b"nothing")
        with pytest.raises(ValueError, match=name):
            list(objects([tmp_path / name]))


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(ValueError, match="takes pyarrow to read: pip install pyarrow"):
        list(objects([tmp_path / "rows.parquet"]))


def tar_of(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def test_samples_of_a_tar(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    tar_of(path, {"x/1.jpg": b"1", "x/1.detail.json": b"2", "y/1.jpg": b"3", "2.jpg": b"4"})
    assert list(tar_groups(path)) == [
        ("x/1", {"jpg": b"1", "detail.json": b"2"}),
        ("y/1", {"jpg": b"3"}),
        ("2", {"jpg": b"4"}),
    ]


def test_a_tar_that_was_cut(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    tar_of(path, {"1.jpg": b"1" * 2000, "2.jpg": b"2" * 2000})
    path.write_bytes(path.read_bytes()[:3500])
    with pytest.raises(ValueError, match=r"a\.tar is no readable tar.*copied only in part"):
        list(tar_groups(path))


def test_a_lookup_joins(tmp_path: Path) -> None:
    with Lookup(((number, {"name": f"{number}.jpg"}) for number in range(100)), "picture") as found:
        assert found[7] == found["7"] == {"name": "7.jpg"}
        with pytest.raises(ValueError, match="there is no picture 100; are the files of one release"):
            found[100]
