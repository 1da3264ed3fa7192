"""`generate`: every way of decoding gives what the model without a cache gives."""

from functools import wraps

import pytest
import torch
from torch._dynamo.utils import counters
from transformers import CompileConfig, DynamicCache, StaticCache
from transformers.generation.streamers import BaseStreamer

from nvlm.modeling import ARCHITECTURES
from nvlm.modeling.cache import MemoryLayer, add_memory_layers, cached_keys
from tests.modeling.batches import EVERY_ARCHITECTURE, FAMILIES, Picture, batch, model, text, text_config

WITH_MEMORY = [name for name, places in ARCHITECTURES.items() if places.in_memory]
every_architecture = pytest.mark.parametrize("architecture", EVERY_ARCHITECTURE)
every_family = pytest.mark.parametrize("family", FAMILIES)
GREEDY = dict(max_new_tokens=8, do_sample=False)


def ragged(architecture: str) -> dict[str, torch.Tensor]:
    """One tile, six tiles, text only, two images."""
    return batch(
        architecture,
        [text(3), Picture(1), text(2)],
        [Picture(6), text(4, seed=1)],
        [text(6, seed=2)],
        [Picture(2), text(3, seed=3), Picture(3), text(2, seed=4)],
    )


def one(architecture: str) -> dict[str, torch.Tensor]:
    return batch(architecture, [text(3), Picture(3), text(4)])


@every_family
@every_architecture
def test_cached_decoding_gives_the_logits_of_the_full_forward(architecture: str, family: str):
    nvlm, inputs = model(architecture, family), ragged(architecture)
    generated = nvlm.generate(**inputs, **GREEDY, return_dict_in_generate=True, output_logits=True)
    steps = torch.stack(generated.logits, dim=1)
    longer = dict(inputs, input_ids=generated.sequences)
    longer["attention_mask"] = torch.nn.functional.pad(inputs["attention_mask"], (0, 8), value=1)
    if (mask := inputs.get("cross_attention_mask")) is not None:
        longer["cross_attention_mask"] = torch.cat([mask, mask[:, -1:].expand(-1, 8, -1)], dim=1)
    full = nvlm(**longer).logits[:, -9:-1]
    torch.testing.assert_close(steps, full, rtol=1e-3, atol=1e-3)


@every_architecture
@pytest.mark.parametrize(
    "way",
    [
        dict(use_cache=False),
        dict(cache_implementation="static"),
        dict(num_beams=1, repetition_penalty=1.0),
    ],
    ids=["no cache", "static cache", "plain"],
)
def test_ways_of_greedy_decoding_agree(architecture: str, way: dict):
    nvlm, inputs = model(architecture), ragged(architecture)
    assert nvlm.generate(**inputs, **GREEDY, **way).tolist() == nvlm.generate(**inputs, **GREEDY).tolist()


@every_architecture
def test_static_cache_for_every_family(architecture: str):
    for family in FAMILIES:
        nvlm, inputs = model(architecture, family), one(architecture)
        static = nvlm.generate(**inputs, **GREEDY, cache_implementation="static")
        assert static.tolist() == nvlm.generate(**inputs, **GREEDY).tolist(), family


@every_architecture
def test_beams_with_and_without_a_cache(architecture: str):
    nvlm, inputs = model(architecture), ragged(architecture)
    beams = dict(GREEDY, num_beams=3, num_return_sequences=2)
    cached = nvlm.generate(**inputs, **beams)
    assert cached.shape[0] == 8
    assert cached.tolist() == nvlm.generate(**inputs, **beams, use_cache=False).tolist()
    assert cached.tolist() == nvlm.generate(**inputs, **beams, cache_implementation="static").tolist()


@every_architecture
def test_a_row_generates_what_it_generates_alone(architecture: str):
    nvlm = model(architecture)
    together = nvlm.generate(**ragged(architecture), **GREEDY)
    alone = batch(architecture, [text(3), Picture(1), text(2)])
    alone["pixel_values"] = ragged(architecture)["pixel_values"][:1]
    assert nvlm.generate(**alone, **GREEDY)[0, -8:].tolist() == together[0, -8:].tolist()


@every_architecture
def test_prompt_lookup_is_greedy(architecture: str):
    nvlm, inputs = model(architecture), batch(architecture, [text(3), Picture(3), text(4), text(4), text(4)])
    expected = nvlm.generate(**inputs, **GREEDY | dict(max_new_tokens=24))
    fast = nvlm.generate(**inputs, **GREEDY | dict(max_new_tokens=24), prompt_lookup_num_tokens=3)
    assert fast.tolist() == expected.tolist()


@every_architecture
def test_an_assistant_is_greedy(architecture: str):
    """A smaller member of the family drafts and sees the same images."""
    nvlm, inputs = model(architecture), one(architecture)
    assistant = model(architecture, text_config=text_config(num_hidden_layers=2))
    expected = nvlm.generate(**inputs, **GREEDY)
    assert nvlm.generate(**inputs, **GREEDY, assistant_model=assistant).tolist() == expected.tolist()


@every_architecture
def test_return_sequences_are_samples_of_their_own_row(architecture: str):
    nvlm, inputs = model(architecture), ragged(architecture)
    torch.manual_seed(3)
    sampled = nvlm.generate(**inputs, max_new_tokens=4, do_sample=True, top_k=20, num_return_sequences=3)
    assert sampled.shape[0] == 12
    for row in range(4):
        assert (sampled[3 * row : 3 * row + 3, : inputs["input_ids"].shape[1]] == inputs["input_ids"][row]).all()


@every_architecture
def test_streaming_gives_the_same_tokens_one_by_one(architecture: str):
    class Streamer(BaseStreamer):
        def __init__(self) -> None:
            self.tokens: list[int] = []

        def put(self, value: torch.Tensor) -> None:
            self.tokens += value.flatten().tolist()

        def end(self) -> None:
            self.tokens.append(-1)

    nvlm, inputs, streamer = model(architecture), one(architecture), Streamer()
    out = nvlm.generate(**inputs, **GREEDY, streamer=streamer)
    assert streamer.tokens == [*out[0].tolist(), -1]


@every_architecture
@pytest.mark.parametrize("way", [{}, dict(num_beams=3), dict(cache_implementation="static")], ids=str)
def test_images_are_encoded_and_projected_once(architecture: str, way: dict):
    """The encoder sees each view once whatever the beams; decoding makes no more keys and values of memory."""
    nvlm, inputs = model(architecture), one(architecture)
    encoded: list[int] = []
    keys: list[int] = []
    nvlm.vision_model.register_forward_pre_hook(
        lambda module, args, kwargs: encoded.append(len(kwargs["pixel_values"])), with_kwargs=True
    )
    for branch in nvlm.cross_attentions():
        branch.k_proj.register_forward_hook(lambda module, args, output: keys.append(1))
    nvlm.generate(**inputs, **GREEDY, **way)
    assert encoded == [4]
    assert len(keys) == len(nvlm.config.cross_attention_layers)


@every_architecture
def test_stored_features_generate_too(architecture: str):
    nvlm, inputs = model(architecture), ragged(architecture)
    expected = nvlm.generate(**inputs, **GREEDY, num_beams=2)
    inputs["image_features"] = nvlm.get_image_features(inputs.pop("pixel_values"))
    assert nvlm.generate(**inputs, **GREEDY, num_beams=2).tolist() == expected.tolist()


@every_architecture
def test_nothing_grows_while_decoding_but_the_text(architecture: str):
    nvlm, inputs = model(architecture), one(architecture)
    shapes = []
    forward = nvlm.forward

    @wraps(forward)
    def spy(**kwargs):
        mask = kwargs.get("cross_attention_mask")
        shapes.append((tuple(kwargs["input_ids"].shape), None if mask is None else tuple(mask.shape)))
        assert kwargs.get("pixel_values") is None or len(shapes) == 1
        return forward(**kwargs)

    nvlm.forward = spy
    nvlm.generate(**inputs, **GREEDY)
    views = inputs["memory_views"].shape[1] if "memory_views" in inputs else None
    assert set(shapes[1:]) == {((1, 1), None if views is None else (1, 1, views))}


# --- A conversation that keeps its cache -----------------------------------------------------------------------------


@every_architecture
@pytest.mark.parametrize("second", [[text(5, seed=9)], [Picture(2), text(3, seed=9)]], ids=["text", "image"])
def test_next_turn_on_the_same_cache(architecture: str, second: list):
    nvlm = model(architecture)
    first = [text(3), Picture(2), text(4)]
    answer = nvlm.generate(
        **(opening := batch(architecture, first)),
        **GREEDY,
        return_dict_in_generate=True,
        past_key_values=DynamicCache(config=nvlm.config.text_config),
    )
    spoken = answer.sequences[0, opening["input_ids"].shape[1] :].tolist()
    conversation = batch(architecture, [*first, spoken, *second])
    conversation["pixel_values"] = torch.cat([opening["pixel_values"], conversation["pixel_values"][3:]])
    encoded: list[int] = []
    nvlm.vision_model.register_forward_pre_hook(lambda *args: encoded.append(1))
    fresh = nvlm.generate(**conversation, **GREEDY)
    assert encoded == [1]
    kept = nvlm.generate(**conversation, **GREEDY, past_key_values=answer.past_key_values)
    assert kept.tolist() == fresh.tolist()
    images_are_new = isinstance(second[0], Picture)
    assert encoded == [1, 1] if images_are_new else encoded == [1]


# --- The slots behind the text layers --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["config", "lazy", "static"])
def test_memory_layers_stand_behind_the_text_layers(kind: str):
    language = text_config()
    caches = {
        "config": lambda: DynamicCache(config=language),
        "lazy": DynamicCache,
        "static": lambda: StaticCache(config=language, max_cache_len=32),
    }
    cache = caches[kind]()
    for _ in range(2):
        add_memory_layers(cache, 4, 2)
    assert [isinstance(layer, MemoryLayer) for layer in cache.layers] == [False] * 4 + [True] * 2
    assert cached_keys(cache) == 0
    assert cache.is_compileable is (kind == "static")


def test_memory_layer_follows_rows_and_ignores_text():
    layer, keys = MemoryLayer(), torch.arange(3.0).reshape(3, 1, 1, 1).expand(3, 2, 5, 4)
    layer.crop(-1), layer.reorder_cache(torch.tensor([0])), layer.batch_repeat_interleave(2)  # nothing to follow yet
    assert layer.get_seq_length() == 0
    layer.update(keys, -keys)
    assert (layer.get_seq_length(), layer.get_mask_sizes(1), layer.get_max_length()) == (5, (5, 0), -1)
    layer.crop(-3)
    assert layer.get_seq_length() == 5
    layer.reorder_cache(torch.tensor([2, 0, 0]))
    assert layer.keys[:, 0, 0, 0].tolist() == [2, 0, 0]
    layer.batch_repeat_interleave(2)
    assert layer.values[:, 0, 0, 0].tolist() == [-2, -2, 0, 0, 0, 0]
    layer.batch_select_indices(torch.tensor([1]))
    layer.offload(), layer.prefetch()
    assert layer.keys.shape == (1, 2, 5, 4)
    layer.update(keys[:, :, :2], keys[:, :, :2])
    assert layer.get_seq_length() == 2, "a second prompt replaces the first"
    layer.reset()
    assert layer.get_seq_length() == 0


@pytest.mark.parametrize("architecture", WITH_MEMORY)
def test_cached_memory_of_another_size_is_refused_with_numbers(architecture: str):
    nvlm, inputs = model(architecture), one(architecture)
    cache = nvlm(**inputs, use_cache=True).past_key_values
    held = cached_keys(cache)
    inputs = batch(architecture, [Picture(5), text(1)])
    step = {name: inputs[name] for name in ("memory_views", "memory_tag_ids") if name in inputs}
    step["cross_attention_mask"] = inputs["cross_attention_mask"][:, -1:]
    with pytest.raises(ValueError, match=rf"keys per row but the cache holds {held}"):
        nvlm(input_ids=torch.tensor([[40]]), past_key_values=cache, **step)


# --- Compiling -------------------------------------------------------------------------------------------------------


@every_architecture
def test_generate_compiles_its_decode_step_once_and_without_a_graph_break(architecture: str):
    """As `generate` does by itself on a GPU; a second prompt of the same shape reuses the graph."""
    nvlm, inputs = model(architecture), ragged(architecture)
    expected = nvlm.generate(**inputs, **GREEDY).tolist()
    compiling = CompileConfig(fullgraph=True, backend="eager", mode=None, dynamic=False)
    compiling._compile_all_devices = True
    torch._dynamo.reset()
    counters["stats"].clear()
    with torch._dynamo.config.patch(error_on_recompile=True):
        for _ in range(2):
            out = nvlm.generate(**inputs, **GREEDY, cache_implementation="static", compile_config=compiling)
            assert out.tolist() == expected
    assert counters["stats"]["unique_graphs"] == 1
