import pytest
import torch
from transformers import InternVLVisionConfig, InternVLVisionModel

from nvlm.data.synthetic.tokenizer import build_tokenizer
from nvlm.recipes.nano.build import build_model
from nvlm.recipes.nano.heads import DISTANCES, start_reading
from nvlm.recipes.nano.language import build_language_model
from nvlm.recipes.nano.sizes import VISION


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


@pytest.mark.parametrize("architecture", ["X", "H"])
def test_the_last_cross_attention_copies_what_it_reads(architecture: str):
    torch.manual_seed(0)
    language = build_language_model()
    model = build_model(architecture, InternVLVisionModel(InternVLVisionConfig(**VISION)), language)
    branch, words = model.cross_attentions()[-1], language.get_input_embeddings().weight[300:1300]
    with torch.inference_mode():
        heads = branch.v_proj(words).unflatten(-1, (-1, branch.head_dim))
        read = branch.o_proj(heads.repeat_interleave(branch.num_key_value_groups, dim=1).flatten(1))
        named = (read @ words.T).argmax(-1)
    assert (named == torch.arange(1000)).float().mean() > 0.95


def test_an_architecture_without_memory_stays_as_it_is():
    model = build_model("D", InternVLVisionModel(InternVLVisionConfig(**VISION)), build_language_model())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    start_reading(model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_tile_tags_begin_as_large_as_words_and_apart():
    language, tokenizer = build_language_model(), build_tokenizer()
    table = language.get_input_embeddings().weight
    numbers = [tokenizer.get_vocab()[f"<tile_{number}>"] for number in range(1, 7)]
    with torch.no_grad():
        table[numbers] = 5 * table[1000]  # as after text-only training
    before = table.detach().clone()
    model = build_model("D", InternVLVisionModel(InternVLVisionConfig(**VISION)), language)
    table = model.get_input_embeddings().weight
    tags = table[numbers]
    torch.testing.assert_close(tags.norm(dim=-1), before.norm(dim=-1).median().expand(6))
    assert torch.nn.functional.cosine_similarity(tags[None], tags[:, None], dim=-1).triu(1).abs().max() < 0.5
    words = [number for token, number in tokenizer.get_vocab().items() if not token.startswith("<tile_")]
    assert torch.equal(table[words], before[words])
