import copy

import pytest
import torch
from torch import nn
from torch.optim import Muon

from nvlm.training.muon import Float32Muon, orthogonalise

SHAPES = ((8, 8), (24, 8), (8, 24), (8, 8))


def models() -> tuple[nn.ParameterList, nn.ParameterList]:
    torch.manual_seed(0)
    first = nn.ParameterList(nn.Parameter(torch.randn(shape)) for shape in SHAPES)
    return first, copy.deepcopy(first)


@pytest.mark.parametrize("nesterov", [True, False])
def test_it_steps_as_torchs_does_but_for_bfloat16(nesterov: bool):
    one, other = models()
    before = [parameter.detach().clone() for parameter in one]
    ours = Float32Muon(one, lr=0.02, weight_decay=0.1, nesterov=nesterov)
    theirs = Muon(other, lr=0.02, weight_decay=0.1, nesterov=nesterov)
    for _ in range(3):
        for mine, its in zip(one, other, strict=True):
            mine.grad = torch.randn_like(mine)
            its.grad = mine.grad.clone()
        ours.step()
        theirs.step()
    for mine, its, start in zip(one, other, before, strict=True):
        moved = float((its - start).detach().norm())
        assert float((mine - its).detach().norm()) < 0.03 * moved
    for mine, its in zip(one, other, strict=True):
        torch.testing.assert_close(ours.state[mine], theirs.state[its])


def test_matrices_without_a_gradient_stay():
    one, _ = models()
    before = one[0].detach().clone()
    one[1].grad = torch.ones_like(one[1])
    optimizer = Float32Muon(one, lr=0.1)
    optimizer.step()
    assert torch.equal(one[0], before)
    assert set(optimizer.state) == {one[1]}


def test_the_closures_loss_comes_back():
    one, _ = models()

    def closure() -> float:
        loss = sum(parameter.square().sum() for parameter in one)
        assert isinstance(loss, torch.Tensor)
        loss.backward()
        return float(loss.detach())

    before = sum(float(each.detach().square().sum()) for each in one)
    assert Float32Muon(one).step(closure) == pytest.approx(before)


@pytest.mark.parametrize("shape", [(3, 12, 5), (3, 5, 12), (1, 6, 6)])
def test_singular_values_come_near_one_and_vectors_stay(shape: tuple[int, int, int]):
    torch.manual_seed(0)
    matrices = torch.randn(shape)
    found = orthogonalise(matrices, (3.4445, -4.775, 2.0315), 5, 1e-7)
    assert torch.linalg.svdvals(found).sub(1).abs().max() < 0.5
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    inner = left.mT @ found @ right.mT
    torch.testing.assert_close(inner, torch.diag_embed(inner.diagonal(dim1=1, dim2=2)), atol=1e-4, rtol=0)
