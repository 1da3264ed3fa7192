import pytest
import torch
from torch import nn

from nvlm.training.freezing import freeze


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.vision = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.BatchNorm1d(4))
        self.connector = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.GELU())
        self.language = nn.ModuleDict({"layer": nn.Linear(4, 4), "cross_attention": nn.Linear(4, 2)})


@pytest.fixture
def model() -> Model:
    return Model().train()


def test_only_matching_parameters_learn(model):
    freeze(model, ("connector.*", "language.*cross_attention.*"))
    learning = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert learning == {
        "connector.0.weight",
        "connector.0.bias",
        "language.cross_attention.weight",
        "language.cross_attention.bias",
    }


def test_report_counts_parameters_by_pattern_and_by_owner(model):
    report = freeze(model, ("connector.*", "language.*cross_attention.*"))
    assert report.trainable == {"connector.*": 20, "language.*cross_attention.*": 10}
    assert report.frozen == {"vision": 28, "language": 20}
    assert str(report) == (
        "trains connector.* 0.00 M, language.*cross_attention.* 0.00 M; frozen vision 0.00 M, language 0.00 M"
    )


def test_report_says_when_nothing_is_frozen(model):
    assert str(freeze(model, ("*",))).endswith("frozen nothing")


def test_every_parameter_counts_once_with_the_first_pattern_that_matches(model):
    report = freeze(model, ("language.layer.*", "language.*"))
    assert report.trainable == {"language.layer.*": 20, "language.*": 10}


def test_pattern_that_matches_nothing_is_refused_before_anything_is_frozen(model):
    with pytest.raises(ValueError, match=r"matches language\.\*xattn.*start with vision, connector, language"):
        freeze(model, ("connector.*", "language.*xattn"))
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_frozen_modules_are_in_eval_mode_and_learning_ones_are_not(model):
    freeze(model, ("connector.*",))
    modes = {name: module.training for name, module in model.named_modules()}
    assert [name for name, training in modes.items() if training] == [
        "",
        "connector",
        "connector.0",
        "connector.1",
        "connector.2",
    ]


def test_dropout_inside_a_frozen_module_does_nothing(model):
    freeze(model, ("connector.*",))
    inputs = torch.ones(3, 4)
    assert torch.equal(model.vision(inputs), model.vision(inputs))
    assert not torch.equal(model.connector(inputs), model.connector(inputs))


def test_frozen_statistics_do_not_move(model):
    freeze(model, ("connector.*",))
    before = model.vision[2].running_mean.clone()
    model.vision(torch.randn(8, 4))
    assert torch.equal(model.vision[2].running_mean, before)


def test_frozen_modules_build_no_graph_and_keep_no_gradients(model):
    model.vision(torch.randn(8, 4)).sum().backward()
    freeze(model, ("connector.*",))
    assert all(parameter.grad is None for parameter in model.vision.parameters())
    features = model.vision(torch.randn(8, 4))
    assert not features.requires_grad
    model.connector(features).sum().backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is not None] == [
        "connector.0.weight",
        "connector.0.bias",
    ]


def test_a_later_stage_lets_frozen_parts_learn_again(model):
    freeze(model, ("connector.*",))
    freeze(model, ("connector.*", "language.*"))
    assert model.language.training
    assert all(parameter.requires_grad for parameter in model.language.parameters())
    assert not model.vision.training
