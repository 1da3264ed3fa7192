import pytest
import torch

from nvlm.recipes.nano.heads import DISTANCES
from nvlm.recipes.nano.language import build_language_model


@pytest.fixture(scope="module")
def attentions() -> tuple[torch.Tensor, ...]:
    """(1, heads, 20, 20) of every layer of a fresh language model on random tokens."""
    torch.manual_seed(0)
    model = build_language_model().eval()
    model.set_attn_implementation("eager")
    with torch.inference_mode():
        return model(torch.randint(300, 1300, (1, 20)), output_attentions=True).attentions


@pytest.mark.parametrize(("head", "distance"), DISTANCES.items())
def test_heads_of_the_first_layer_look_their_distance_back(attentions, head: int, distance: int):
    looks = attentions[0][0, head]
    at = torch.arange(10, 20)
    assert looks[at, at - distance].mean() > 0.85


def test_the_other_heads_look_nowhere_in_particular(attentions):
    free = [head for head in range(attentions[0].shape[1]) if head not in DISTANCES]
    assert attentions[0][0, free].diagonal(dim1=-2, dim2=-1)[:, 10:].max() < 0.5


def test_matching_heads_of_the_second_layer_prefer_what_is_like_the_query():
    torch.manual_seed(0)
    attention = build_language_model().model.layers[1].self_attn
    states = torch.nn.functional.rms_norm(torch.randn(64, 192), (192,))
    with torch.inference_mode():
        query, key = attention.q_proj(states), attention.k_proj(states)
    size = attention.head_dim
    for group in range(key.shape[1] // size):
        head = group * attention.num_key_value_groups
        match = query[:, head * size : (head + 1) * size] @ key[:, group * size : (group + 1) * size].T
        assert (match.argmax(-1) == torch.arange(64)).all()
