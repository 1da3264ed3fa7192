from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.optim import Optimizer

from nvlm.training.freezing import freeze
from nvlm.training.optim import build_optimizers, set_rates
from tests.training.toy import STAGE, Toy


def names_of(model: nn.Module, optimizer: Optimizer) -> set[str]:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {names[id(parameter)] for group in optimizer.param_groups for parameter in group["params"]}


def test_muon_takes_the_matrices_inside_and_adamw_the_rest():
    model = Toy()
    optimizers = build_optimizers(model, STAGE)
    assert names_of(model, optimizers["muon"]) == {"body.0.weight"}
    assert names_of(model, optimizers["adamw"]) == {
        "embed.weight",
        "body.0.bias",
        "body.3.weight",
        "body.3.bias",
        "lm_head.weight",
    }


def test_without_a_matrix_rate_everything_goes_to_adamw():
    model = Toy()
    optimizers = build_optimizers(model, replace(STAGE, matrix_lr=0.0))
    assert list(optimizers) == ["adamw"]
    assert names_of(model, optimizers["adamw"]) == {name for name, _ in model.named_parameters()}


def test_frozen_parameters_belong_to_no_optimiser():
    model = Toy()
    freeze(model, ("body.0.*",))
    optimizers = build_optimizers(model, STAGE)
    assert {kind: names_of(model, optimizer) for kind, optimizer in optimizers.items()} == {
        "muon": {"body.0.weight"},
        "adamw": {"body.0.bias"},
    }


def test_only_matrices_need_no_adamw():
    model = nn.Linear(3, 3, bias=False)
    assert list(build_optimizers(model, STAGE)) == ["muon"]


def test_nothing_to_train_is_refused():
    model = Toy().requires_grad_(False)
    with pytest.raises(ValueError, match="toy trains nothing"):
        build_optimizers(model, STAGE)


@pytest.mark.parametrize("step", [0, 2, 7, 11])
def test_both_optimisers_follow_the_same_schedule_from_their_own_peaks(step):
    optimizers = build_optimizers(Toy(), STAGE)
    set_rates(optimizers, STAGE, step)
    rates = {kind: optimizer.param_groups[0]["lr"] for kind, optimizer in optimizers.items()}
    assert rates == pytest.approx({"muon": 0.02 * STAGE.rate(step), "adamw": 0.01 * STAGE.rate(step)})


def test_betas_and_decay_reach_the_optimisers():
    optimizers = build_optimizers(Toy(), replace(STAGE, betas=(0.8, 0.9), weight_decay=0.3))
    assert optimizers["adamw"].param_groups[0]["betas"] == (0.8, 0.9)
    assert {optimizer.param_groups[0]["weight_decay"] for optimizer in optimizers.values()} == {0.3}


def test_a_step_moves_every_learning_parameter():
    model = Toy().eval()
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    optimizers = build_optimizers(model, STAGE)
    set_rates(optimizers, STAGE, 5)
    model(torch.arange(11)[None]).square().sum().backward()
    for optimizer in optimizers.values():
        optimizer.step()
    assert not any(torch.equal(parameter, before[name]) for name, parameter in model.named_parameters())


def test_the_connector_stays_with_adamw():
    model = nn.ModuleDict({name: nn.Linear(3, 3, bias=False) for name in ("connector", "layers")})
    optimizers = build_optimizers(model, STAGE)
    assert names_of(model, optimizers["adamw"]) == {"connector.weight"}
    assert names_of(model, optimizers["muon"]) == {"layers.weight"}
