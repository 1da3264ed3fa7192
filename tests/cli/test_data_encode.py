"""`nvlm data encode`, as somebody at a terminal uses it."""

import json
from pathlib import Path

import pytest

from nvlm.cli.main import main
from nvlm.data import encode, encode_costs
from tests.data.shard_folders import prepared_folder
from tests.inference.tiny import save_tiny


@pytest.fixture
def here(tmp_path: Path, tiny_folders, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with shards of pictures and of texts, and a tiny model."""
    prepared_folder(tmp_path, "photos", 10, pictures=1)
    prepared_folder(tmp_path, "notes", 3)
    (tmp_path / "model").symlink_to(tiny_folders["H"])
    monkeypatch.chdir(tmp_path)
    return tmp_path


ENCODE = ["data", "encode", "shards/sft/photos", "--model", "model", "--out", "features", "--batch", "4"]


def test_it_says_what_it_needs_does_and_saves(here, capsys):
    assert main([*ENCODE, "--dtype", "fp8"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("10 pictures, ") and "views of 1,280 bytes; 0 views are stored already" in lines[0]
    assert lines[1].startswith("10 pictures, ") and lines[1].endswith("views, 0 unusable in features")
    assert lines[2].startswith("a view takes ") and ("storing pays from" in lines[3] or "does not pay" in lines[3])
    assert lines[4].startswith("fp8 against fp16: relative RMS error ")
    assert json.loads((here / "features/report.json").read_text())["dtype"] == "fp8"
    assert main([*ENCODE, "--dtype", "fp8"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_an_encoder_by_itself_makes_the_same_features(here, capsys, tiny_folders):
    from nvlm.inference import load

    model, _ = load(str(here / "model"))
    model.vision_model.save_pretrained(here / "encoder")
    assert main(ENCODE) == 0
    alone = [("encoder" if word == "model" else word) for word in ENCODE]
    alone[alone.index("--model")] = "--encoder"
    assert main([*alone, "--max-tiles", "6"]) == 0
    assert "at most 0.00 GB more" in capsys.readouterr().out


def test_ctrl_c_says_what_is_kept(here, capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(encode, "_store", interrupted)
        assert main(ENCODE) == 130
    assert "nvlm: interrupted; 0 pictures are kept, and the same command goes on\n" in capsys.readouterr().err
    assert main(ENCODE) == 0


def test_too_small_a_disk_is_refused_unless_forced(here, capsys, monkeypatch):
    monkeypatch.setattr(encode_costs.shutil, "disk_usage", lambda _: encode_costs.shutil._ntuple_diskusage(9, 9, 0))
    assert main(ENCODE) == 2
    assert "0.0 GB are free; make room" in capsys.readouterr().err
    assert main([*ENCODE, "--force"]) == 0


def test_features_of_other_pixels_are_refused(here, capsys, tmp_path):
    assert main(ENCODE) == 0
    path = save_tiny("H", tmp_path / "other") / "processor_config.json"
    settings = json.loads(path.read_text())
    settings["image_processor"]["mean"] = [0.5, 0.5, 0.5]
    path.write_text(json.dumps(settings))
    assert main([("other" if word == "model" else word) for word in ENCODE]) == 2
    assert "holds features made with another mean" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["shards/sft/notes", "--model", "model"], "there are no pictures in shards/sft/notes"),
        (["shards", "--model", "model"], "shards has no shards"),
        (["shards/sft/photos", "--model", "modle"], "modle"),
    ],
)
def test_mistakes_are_one_line(here, capsys, arguments, said):
    assert main(["data", "encode", *arguments, "--out", "features"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and said in error
