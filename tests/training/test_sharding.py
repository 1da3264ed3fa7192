"""How a model is spread: what is cut, what is exchanged, and what is refused."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.distributed.fsdp import fully_shard
from torch.utils._python_dispatch import TorchDispatchMode

from nvlm.modeling import NVLMConfig, NVLMForConditionalGeneration
from nvlm.planning.sharding import Layout
from nvlm.training.engine import Engine
from nvlm.training.freezing import freeze
from nvlm.training.lanes import StepBatches
from nvlm.training.loop import train
from nvlm.training.optim import build_optimizers
from nvlm.training.ranks import Ranks
from nvlm.training.sharding import blocks, check_fsdp, loading, recomputing, spread
from nvlm.training.steps import Feed, keep_company
from tests.training import lanes
from tests.training.together import together
from tests.training.toy import STAGE, Toy


def refused(what: Any) -> str:
    """The sentence with which something is refused."""
    try:
        what()
    except ValueError as error:
        return str(error)
    raise AssertionError("nothing was refused")


def loaded(folder: Path, layout: Layout) -> dict[str, float]:
    """Train a model of which every process read its own part."""
    config = NVLMConfig.from_pretrained(folder / "model")
    model = NVLMForConditionalGeneration.from_pretrained(
        folder / "model", dtype=torch.float64, distributed_config=loading(config, layout)
    )
    batches, target = lanes.Lanes("H", lanes.SHOWN), folder / f"loaded {layout}"
    train(lanes.STAGE, model, batches, None, target, engine=Engine(layout=layout))
    return lanes.weights(model)


@pytest.mark.slow
@pytest.mark.parametrize("layout", [Layout(fsdp=2), Layout(fsdp=2, tensor=2), Layout(tensor=2, replicas=2)], ids=str)
def test_a_model_that_no_process_holds_whole_trains_as_one_that_does(tmp_path, layout):
    lanes.tiny("H").save_pretrained(tmp_path / "model")
    one = together(1, lanes.run, tmp_path, tmp_path / "one", "H")[0]
    for found in together(layout.gpus, loaded, tmp_path, tmp_path, layout):
        assert found == pytest.approx(one, rel=0, abs=1e-6)
    assert lanes.losses(tmp_path / f"loaded {layout}") == pytest.approx(lanes.losses(tmp_path / "one"), abs=1e-6)


def test_small_models_are_loaded_whole():
    assert loading(lanes.tiny("H").config, Layout(replicas=4)) is None


class Exchanges(TorchDispatchMode):
    """Counts what processes exchange, by its name."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: dict[str, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.namespace == "c10d":
            name = func._schema.name.removeprefix("c10d::")
            self.counts[name] = self.counts.get(name, 0) + 1
        return func(*args, **(kwargs or {}))


def exchanged() -> dict[str, Any]:
    """What two FSDP processes exchange in one pass with a frozen encoder, and what they hold."""
    model = lanes.tiny("H").train()
    freeze(model, lanes.STAGE.trainable)
    spread(model, Ranks(Layout(fsdp=2)))
    batch = lanes.micro_batch("H", "pictures", 1, 0)
    batch.pop("accounting")
    model(**batch).loss.backward()  # FSDP sets itself up in the first pass
    with Exchanges() as forward:
        loss = model(**batch).loss
    with Exchanges() as backward:
        loss.backward()
    held = sum(parameter.to_local().numel() for parameter in model.parameters())
    odd = [name for name, each in model.named_parameters() if each.grad is None and each.requires_grad]
    return {
        "counts": [forward.counts, backward.counts],
        "held": held,
        "whole": sum(map(torch.numel, model.parameters())),
        "odd": odd,
    }


def test_frozen_layers_are_gathered_on_the_way_there_and_not_on_the_way_back(tmp_path):
    for found in together(2, exchanged, tmp_path):
        forward, backward = found["counts"]
        decoder_layers, rest, vision_layers, encoder = 4, 1, 2, 1
        assert forward == {"_allgather_base_": decoder_layers + rest + vision_layers + encoder}
        assert backward == {"_allgather_base_": decoder_layers, "_reduce_scatter_base_": decoder_layers + rest}
        assert abs(found["held"] / found["whole"] - 0.5) < 0.02
        assert found["odd"] == []


def refusals() -> dict[str, str]:
    loose = lanes.tiny("D")
    spread(loose, Ranks(Layout(fsdp=2)))
    loose.connector.norm.weight = nn.Parameter(torch.ones(64))
    wide, toy = lanes.tiny("D"), Toy()
    spread(toy, Ranks(Layout(fsdp=2)))
    wide.config.text_config.num_key_value_heads = 1

    passes = Feed(StepBatches(lambda step: [step][Ranks().rank :], 2), Ranks(Layout(fsdp=2)), 1, 0)
    found = {
        "size": lambda: Ranks(Layout(fsdp=4)),
        "plan": lambda: spread(nn.Linear(2, 2), Ranks(Layout(tensor=2))),
        "heads": lambda: spread(wide, Ranks(Layout(tensor=2))),
        "loose": lambda: check_fsdp(loose),
        "layers": lambda: check_fsdp(fully_shard(lanes.tiny("D"), mesh=Ranks(Layout(fsdp=2)).mesh["fsdp"])),
        "lanes": lambda: Feed(StepBatches(lambda step: [], 3), Ranks(), 1, 0),
        "muon": lambda: build_optimizers(toy, STAGE),
        "nothing": lambda: keep_company(passes.step(0), Ranks(Layout(fsdp=2)), None),
    }
    return {name: refused(each) for name, each in found.items()}


def test_what_cannot_be_spread_is_refused_with_both_numbers(tmp_path):
    for found in together(2, refusals, tmp_path):
        assert found["size"].startswith("the layout FSDP 4 is for 4 processes, but 2 run; start them with torchrun")
        assert found["plan"] == "Linear has no tensor-parallel plan; spread it over shards instead"
        assert "4 heads in 1 key/value groups, which cannot be shared evenly among 2 GPUs" in found["heads"]
        assert found["loose"] == "1 parameters are whole on every process, the first is connector.norm.weight"
        assert "are not sharded by themselves, the first is" in found["layers"]
        assert found["lanes"].startswith("3 lanes cannot be shared evenly among 2 data-parallel ranks")
        assert "Muon, which needs them whole, but the layout cuts them" in found["muon"]
        assert found["nothing"].startswith("a rank has no micro-batch in a step where another has 1")


PRETRAIN = replace(lanes.STAGE, steps=2, trainable=("connector.*", "language_model.*.cross_attention.*"))


def in_precision(folder: Path, precision: str, layout: Layout | None, stage: Any) -> list[str]:
    """The loss with passes in a precision; the types of what learns and of what is frozen."""
    model = lanes.tiny("H").float()
    engine = Engine(layout=layout, precision=precision)
    train(stage, model, lanes.Lanes("H", lanes.SHOWN), None, folder, engine=engine)
    return sorted({f"{each.requires_grad} {each.dtype}" for each in model.parameters()})


@pytest.mark.parametrize("stage", [PRETRAIN, replace(lanes.STAGE, steps=2)], ids=["pretrain", "sft"])
def test_bf16_passes_keep_what_learns_and_come_near(tmp_path, stage):
    """Layers with frozen weights in bf16 and learning ones in float32 are sharded as one."""
    mixed = ["False torch.bfloat16", "True torch.float32"]
    sharded = together(2, in_precision, tmp_path, tmp_path / "sharded", "bfloat16", Layout(fsdp=2), stage)
    assert sharded == [mixed] * 2
    assert in_precision(tmp_path / "bfloat16", "bfloat16", None, stage) == mixed
    in_precision(tmp_path / "float32", "float32", None, stage)
    expected = lanes.losses(tmp_path / "float32")
    for folder in ("sharded", "bfloat16"):
        found = lanes.losses(tmp_path / folder)
        assert found != expected
        assert found == pytest.approx(expected, abs=0.05)  # bf16 has 3 digits; measured 0.01


def loaded_in_bf16(folder: Path) -> list[str]:
    """As `in_precision`, of a model of which every process read its own part."""
    config, layout = NVLMConfig.from_pretrained(folder / "model"), Layout(fsdp=2)
    spreading = loading(config, layout, "bfloat16")
    model = NVLMForConditionalGeneration.from_pretrained(
        folder / "model", dtype=torch.float32, distributed_config=spreading
    )
    engine = Engine(layout=layout, precision="bfloat16")
    train(PRETRAIN, model, lanes.Lanes("H", lanes.SHOWN), None, folder / "loaded", engine=engine)
    return sorted({f"{each.requires_grad} {each.dtype}" for each in model.parameters()})


def test_what_is_frozen_is_stored_in_bf16_also_where_every_process_read_its_part(tmp_path):
    lanes.tiny("H").float().save_pretrained(tmp_path / "model")
    mixed = ["False torch.bfloat16", "True torch.float32"]
    assert together(2, loaded_in_bf16, tmp_path, tmp_path) == [mixed] * 2
    together(2, in_precision, tmp_path, tmp_path / "sharded", "bfloat16", Layout(fsdp=2), PRETRAIN)
    assert lanes.losses(tmp_path / "loaded") == pytest.approx(lanes.losses(tmp_path / "sharded"), abs=0.01)


def test_recomputed_blocks_keep_their_input_only_and_are_put_back():
    model = lanes.tiny("H").train()
    model.vision_model.requires_grad_(False).eval()
    model.language_model.requires_grad_(False).eval()  # frozen, and a gradient goes through it all the same
    batch = lanes.micro_batch("H", "pictures", 1, 0)
    batch.pop("accounting")
    kept: dict[bool, int] = {}
    gradients: dict[bool, torch.Tensor] = {}
    for wanted in (False, True):
        kept[wanted] = 0

        def count(tensor: torch.Tensor, wanted: bool = wanted) -> torch.Tensor:
            kept[wanted] += tensor.numel()
            return tensor

        with recomputing(model, wanted), torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            loss = model(**batch).loss
        with recomputing(model, wanted):
            loss.backward()
        gradients[wanted] = model.connector.norm.weight.grad.clone()
        model.zero_grad()
    assert kept[True] < kept[False] / 2
    torch.testing.assert_close(gradients[True], gradients[False], rtol=0, atol=0)
    assert not any("forward" in vars(block) for block in blocks(model))


def test_lanes_are_closed_and_ranks_alone_agree_with_themselves():
    with closing(Feed(StepBatches(lambda step: [step, step + 1], 2), Ranks(), 2, 0)) as feed:
        assert [each.batch for each in feed.step(0)] == [0, 1, 1, 2]
        assert feed.states() == {0: {"step": 2}, 1: {"step": 2}}
    assert Ranks().total([1.5]) == [1.5]
    assert Ranks().gather("own") == ["own"]
