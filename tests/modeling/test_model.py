"""What D, X and H compute: the language model where there is nothing to see, and exactly the right views where there
is."""

import copy

import pytest
import torch
from torch import nn
from transformers import AutoModel, AutoModelForCausalLM

from nvlm.modeling import ARCHITECTURES, Architecture, NVLMForConditionalGeneration, Views
from nvlm.modeling.loss import predicting_rows
from nvlm.modeling.placement import gather_memory, mean_tags
from tests.modeling.batches import (
    EVERY_ARCHITECTURE,
    FAMILIES,
    SLOT,
    Picture,
    batch,
    config,
    model,
    text,
    text_config,
    with_labels,
)

WITH_MEMORY = [name for name, places in ARCHITECTURES.items() if places.in_memory]
WITH_SLOTS = [name for name, places in ARCHITECTURES.items() if places.in_sequence]
every_architecture = pytest.mark.parametrize("architecture", EVERY_ARCHITECTURE)
every_family = pytest.mark.parametrize("family", FAMILIES)


ROWS = (
    [text(3), Picture(6), text(5)],
    [text(9, seed=1)],
    [Picture(2), text(4, seed=2), Picture(1), text(3, seed=3)],
)


def mixed(architecture: str) -> dict[str, torch.Tensor]:
    """Six tiles, text only, two images: rows of different length and tile count."""
    return batch(architecture, *ROWS)


# --- The language model is untouched ---------------------------------------------------------------------------------


@every_family
@pytest.mark.parametrize("architecture", WITH_MEMORY)
def test_gates_at_zero_give_exactly_the_bare_language_models_logits(architecture: str, family: str):
    nvlm = model(architecture, family, cross_attention_gate_init=0.0, cross_attention_feed_forward=True)
    inputs = mixed(architecture)
    seen = nvlm(**inputs).logits
    memory = ("memory_views", "memory_tag_ids", "cross_attention_mask")
    if architecture == "X":
        text_only = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    else:
        text_only = {name: value for name, value in inputs.items() if name not in memory}
    torch.testing.assert_close(seen, nvlm(**text_only).logits, rtol=0, atol=0)
    if architecture == "X":
        bare = AutoModelForCausalLM.from_config(nvlm.config.text_config).eval()
        bare.load_state_dict(nvlm.language_model.state_dict(), strict=False)
        torch.testing.assert_close(seen, bare(**text_only).logits, rtol=0, atol=0)


@every_family
@every_architecture
def test_text_only_input_is_the_language_model(architecture: str, family: str):
    """Whatever the gates: with no image there is nothing to read."""
    torch.manual_seed(0)
    bare = AutoModelForCausalLM.from_config(text_config(family)).eval()
    nvlm = NVLMForConditionalGeneration.from_backbones(
        config(architecture, family), language_model=copy.deepcopy(bare)
    ).eval()
    inputs = batch(architecture, [text(7)], [text(4, seed=1)])
    torch.testing.assert_close(nvlm(**inputs).logits, bare(**inputs).logits, rtol=0, atol=0)


@every_architecture
def test_a_text_only_row_beside_images_is_the_language_model(architecture: str):
    nvlm = model(architecture)
    inputs = mixed(architecture)
    alone = nvlm.language_model(input_ids=inputs["input_ids"][1:2, -9:]).logits
    torch.testing.assert_close(nvlm(**inputs).logits[1:2, -9:], alone, rtol=1e-4, atol=1e-5)


@every_family
@every_architecture
def test_a_row_in_a_batch_is_the_row_alone(architecture: str, family: str):
    nvlm = model(architecture, family)
    inputs = mixed(architecture)
    together = nvlm(**inputs).logits
    first_views = (0, 7, 7)
    for index, (row, first) in enumerate(zip(ROWS, first_views, strict=True)):
        single = batch(architecture, row)
        if "pixel_values" in single:
            single["pixel_values"] = inputs["pixel_values"][first : first + len(single["pixel_values"])]
        length = single["input_ids"].shape[1]
        alone = nvlm(**single).logits[0]
        torch.testing.assert_close(together[index, -length:], alone, rtol=1e-4, atol=1e-4)


@every_architecture
def test_padding_side_does_not_matter(architecture: str):
    nvlm, rows = model(architecture), ([Picture(2), text(4)], [text(3), Picture(1), text(9)])
    left, right = (nvlm(**(inputs := batch(architecture, *rows, left=side))).logits for side in (True, False))
    lengths = inputs["attention_mask"].sum(1).tolist()
    for row, length in enumerate(lengths):
        torch.testing.assert_close(left[row, -length:], right[row, :length], rtol=1e-4, atol=1e-4)


# --- Who reads what: one view is changed at a time -------------------------------------------------------------------


def readers_of(nvlm: NVLMForConditionalGeneration, inputs: dict[str, torch.Tensor], view: int) -> torch.Tensor:
    """(B, S) bool: positions whose logits change with this view."""
    before = nvlm(**inputs).logits
    changed = inputs | {"pixel_values": inputs["pixel_values"].clone()}
    changed["pixel_values"][view] += 1.0
    return (nvlm(**changed).logits != before).any(-1)


def direct_readers(architecture: str, inputs: dict[str, torch.Tensor], view: int) -> torch.Tensor:
    """The same, in a model of one layer whose keys come from the token alone: nothing is passed on between tokens."""
    nvlm = model(architecture, text_config=text_config(num_hidden_layers=1), cross_attention_every=1)
    for layer in nvlm.language_model.model.layers:
        torch.nn.init.zeros_(layer.self_attn.o_proj.weight)
    return readers_of(nvlm, inputs, view)


def test_x_a_tag_reads_its_own_view_and_text_reads_every_earlier_view():
    inputs = batch("X", [text(2), Picture(2), text(3), Picture(1), text(2)])
    # 2 text | 2 <Image>, 2 tag 1, 2 tag 2, 3 thumbnail tag, 1 </Image> | 3 text | 2 <Image>, 3 tag, 1 </Image> | 2 text
    assert inputs["input_ids"].shape[1] == 2 + 10 + 3 + 6 + 2
    after, other_tag = range(11, 23), range(17, 20)
    own = {0: range(4, 6), 1: range(6, 8), 2: range(8, 11)}
    for view, tag in own.items():
        seen = direct_readers("X", inputs, view)[0].nonzero().flatten().tolist()
        assert seen == [*tag, *(s for s in after if s not in other_tag)], view
    assert direct_readers("X", inputs, 3)[0].nonzero().flatten().tolist() == [17, 18, 19, 20, 21, 22]


def test_h_tiles_are_read_from_the_end_of_their_image_and_the_thumbnail_stands_in_the_sequence():
    inputs = batch("H", [text(2), Picture(2), text(3)])
    # 2 text | 2 <Image>, 3 thumbnail tag, 4 slots, 1 </Image> | 3 text
    for tile in (0, 1):
        assert direct_readers("H", inputs, tile)[0].nonzero().flatten().tolist() == [11, 12, 13, 14]
    assert direct_readers("H", inputs, 2)[0].nonzero().flatten().tolist() == [7, 8, 9, 10]


@every_architecture
def test_nothing_reads_a_later_image_or_another_rows(architecture: str):
    nvlm = model(architecture)
    inputs = batch(architecture, [text(2), Picture(2), text(3), Picture(2), text(2)], [Picture(1), text(20, seed=1)])
    opens = (inputs["input_ids"][0] == 2).nonzero().flatten().tolist()
    for view, start in zip(range(6), [opens[0]] * 3 + [opens[1]] * 3, strict=True):
        seen = readers_of(nvlm, inputs, view)
        assert not seen[1].any(), view
        assert not seen[0, :start].any(), view
        assert seen[0, -1], view
    seen = readers_of(nvlm, inputs, 6)
    assert seen[1, -1] and not seen[0].any()


@every_architecture
def test_every_view_matters_to_the_answer(architecture: str):
    nvlm, inputs = model(architecture), mixed(architecture)
    for view in range(len(inputs["pixel_values"])):
        assert readers_of(nvlm, inputs, view)[:, -1].sum() == 1


def test_h_tags_are_keys():
    nvlm, inputs = model("H"), batch("H", [Picture(3), text(3)])
    assert not (inputs["input_ids"] == 12).any(), "the tile's tag is not in the sequence"
    before = nvlm(**inputs).logits
    other = inputs | {"memory_tag_ids": inputs["memory_tag_ids"].clone()}
    other["memory_tag_ids"][0, 1, 1] = 50
    changed = (nvlm(**other).logits != before).any(-1)[0]
    close = (inputs["input_ids"][0] == 4).nonzero().item()
    assert changed.nonzero().flatten().tolist() == list(range(close, inputs["input_ids"].shape[1]))


@pytest.mark.parametrize("added", [False, True])
def test_h_whose_tag_a_tag_is_shows_where_it_is_added_to_its_view(added: bool):
    """Memory has no order: a tag beside a view says the same of every view. Two tiles that change places show it."""
    inputs = batch("H", [text(3), Picture(2), text(4)])
    nvlm = model("H", cross_attention_tags_added=added)
    exchanged = inputs | {"memory_views": inputs["memory_views"].flip(1)}
    before, after = (nvlm(**each).logits for each in (inputs, exchanged))
    assert torch.allclose(before, after, atol=1e-5) is not added


def test_h_a_tag_of_several_tokens_is_added_as_their_mean():
    tags = torch.tensor([[[[1.0, 0.0], [0.0, 1.0]], [[2.0, 4.0], [9.0, 9.0]]]])
    means = mean_tags(tags, torch.tensor([[[5, 6], [7, -1]]]))
    assert means.tolist() == [[[0.5, 0.5], [2.0, 4.0]]]
    memory = gather_memory(torch.zeros(2, 3, 2), torch.tensor([[0, 1]]), tags, means)
    assert memory[0, :5].tolist() == [[1, 0], [0, 1], [0.5, 0.5], [0.5, 0.5], [0.5, 0.5]]


@pytest.mark.parametrize("added", [False, True])
def test_h_padding_of_tags_is_not_read(added: bool):
    nvlm, inputs = model("H", cross_attention_tags_added=added), batch("H", [Picture(3), text(3)])
    longer = torch.nn.functional.pad(inputs["memory_tag_ids"], (0, 2), value=-1)
    torch.testing.assert_close(nvlm(**inputs).logits, nvlm(**(inputs | {"memory_tag_ids": longer})).logits)


def test_h_without_tags_in_memory():
    nvlm, inputs = model("H"), batch("H", [Picture(3), text(3)])
    tagged = nvlm(**inputs).logits
    del inputs["memory_tag_ids"]
    assert not torch.allclose(nvlm(**inputs).logits, tagged)


def test_h_one_tile_image_has_an_empty_memory():
    inputs = batch("H", [Picture(1), text(3)])
    assert "memory_views" not in inputs
    nvlm = model("H")
    without = nvlm(**inputs).logits
    empty = {"memory_views": torch.zeros(1, 0, dtype=torch.int64), "cross_attention_mask": torch.zeros(1, 12, 0).bool()}
    torch.testing.assert_close(nvlm(**inputs, **empty).logits, without, rtol=0, atol=0)


@every_architecture
def test_rows_may_share_an_image(architecture: str):
    """Views are indices: two questions about one picture carry its pixels once."""
    nvlm = model(architecture)
    shared = batch(architecture, [Picture(2), text(4)], [Picture(2), text(4, seed=1)])
    twice = dict(shared, pixel_values=shared["pixel_values"][:3].repeat(2, 1, 1, 1))
    shared["pixel_values"] = shared["pixel_values"][:3]
    for name in ("sequence_views", "memory_views"):
        if name in shared:
            shared[name] = shared[name] % 3
    torch.testing.assert_close(nvlm(**shared).logits, nvlm(**twice).logits)


@pytest.mark.parametrize("tags_in_sequence", [Views.ALL, Views.TILES])
def test_a_fourth_architecture_is_a_fourth_row(tags_in_sequence: Views, monkeypatch: pytest.MonkeyPatch):
    """H turned round: tiles in the sequence, the thumbnail in memory, its tag as a query or as keys."""
    row = Architecture(in_sequence=Views.TILES, in_memory=Views.THUMBNAIL, tags_in_sequence=tags_in_sequence)
    monkeypatch.setitem(ARCHITECTURES, "R", row)
    nvlm, inputs = model("R"), batch("R", [text(2), Picture(2), text(3)], [Picture(1), text(2)], [text(4)])
    assert inputs["sequence_views"].tolist() == [[0, 1], [-1, -1], [-1, -1]]
    assert inputs["memory_views"].tolist() == [[2], [3], [-1]]
    assert ("memory_tag_ids" in inputs) is (tags_in_sequence == Views.TILES)
    for view, reader in enumerate((0, 0, 0, 1)):
        assert readers_of(nvlm, inputs, view)[:, -1].nonzero().flatten().tolist() == [reader]
    ways = (dict(use_cache=False), {}, dict(cache_implementation="static"))
    answers = [nvlm.generate(**inputs, max_new_tokens=5, do_sample=False, **way).tolist() for way in ways]
    assert answers[0] == answers[1] == answers[2]


# --- The border where text and images meet ---------------------------------------------------------------------------


@every_architecture
def test_stored_features_are_as_good_as_pixels(architecture: str):
    nvlm, inputs = model(architecture), mixed(architecture)
    from_pixels = nvlm(**inputs).logits
    pixels = inputs.pop("pixel_values")
    features = nvlm.get_image_features(pixels)
    assert features.shape == (len(pixels), 16, 16)
    torch.testing.assert_close(nvlm(**inputs, image_features=features).logits, from_pixels, rtol=0, atol=0)


@pytest.mark.parametrize(("architecture", "prepared_for"), [("D", "X"), ("D", "H"), ("X", "D"), ("X", "H"), ("H", "X")])
def test_inputs_of_another_architecture_are_refused(architecture: str, prepared_for: str):
    """All but D's inputs to H, which look like many one-tile images."""
    with pytest.raises(ValueError, match=r"another architecture|different architectures"):
        model(architecture)(**batch(prepared_for, [Picture(3), text(4)]))


@pytest.mark.parametrize("architecture", WITH_SLOTS)
def test_slots_and_features_must_agree_and_the_error_has_both_numbers(architecture: str):
    inputs = batch(architecture, [text(9)], [Picture(1), text(4)])
    inputs["input_ids"][1, inputs["input_ids"][1].tolist().index(SLOT)] = 40
    with pytest.raises(ValueError, match="row 1 reserves 3 image slots but its views in the sequence have 4 features"):
        model(architecture)(**inputs)


@pytest.mark.parametrize("architecture", WITH_SLOTS)
@pytest.mark.parametrize("call", ["forward", "generate"])
def test_a_prompt_with_slots_needs_its_images(architecture: str, call: str):
    inputs = batch(architecture, [Picture(1), text(4)])
    inputs = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    nvlm = model(architecture)
    with pytest.raises(ValueError, match=r"row 0 reserves 4 image slots but .* have 0 features"):
        nvlm(**inputs) if call == "forward" else nvlm.generate(**inputs, max_new_tokens=1)


def change(name: str, value: object):
    return lambda inputs: inputs | {name: value(inputs) if callable(value) else value}


def test_slots_are_never_generated():
    """An answer that holds a place for an image could not be given back as part of the next prompt."""
    nvlm, inputs = model("D"), batch("D", [Picture(1), text(4)])
    nvlm.get_output_embeddings().weight.data[SLOT] = (
        10 * nvlm(**inputs, output_hidden_states=True).hidden_states[-1][0, -1]
    )
    assert nvlm(**inputs).logits[0, -1].argmax() == SLOT
    assert not (nvlm.generate(**inputs, max_new_tokens=4, do_sample=False)[:, -4:] == SLOT).any()


@pytest.mark.parametrize(
    ("architecture", "wrong", "message"),
    [
        ("X", change("pixel_values", None), "names 28 keys per row but the cache holds 0"),
        ("X", change("cross_attention_mask", None), "cross_attention_mask must say which token reads it"),
        ("X", change("cross_attention_mask", lambda i: i["cross_attention_mask"][..., :3]), "about 3 views .* holds 7"),
        ("X", change("memory_views", lambda i: i["memory_views"] + 1), r"points at view 7 but the batch has 7 views"),
        ("D", change("sequence_views", lambda i: i["sequence_views"] + 1), "sequence_views points at view 7"),
        ("D", change("pixel_values", lambda i: i["pixel_values"][..., :8]), r"\(7, 3, 16, 8\) but .* \(V, 3, 16, 16\)"),
        ("D", change("sequence_views", None), "so nothing of architecture D would read them"),
        ("D", change("image_features", torch.zeros(7, 16, 16)), "and not both"),
        ("D", lambda i: i | {"image_features": torch.zeros(7, 9, 16), "pixel_values": None}, r"\(7, 9, 16\) but"),
        ("D", change("inputs_embeds", torch.zeros(1, 9, 32)), "input_ids or inputs_embeds, and not both"),
        ("D", lambda i: i | {"input_ids": None, "inputs_embeds": torch.zeros(1, 9, 32)}, "not inputs_embeds"),
    ],
)
def test_wrong_inputs_are_refused_with_numbers(architecture: str, wrong, message: str):
    with pytest.raises(ValueError, match=message):
        model(architecture)(**wrong(batch(architecture, [Picture(6), text(4)])))


def test_embeddings_instead_of_ids():
    nvlm, inputs = model("X"), batch("X", [Picture(2), text(4)])
    by_ids = nvlm(**inputs).logits
    inputs["inputs_embeds"] = nvlm.get_input_embeddings()(inputs.pop("input_ids"))
    torch.testing.assert_close(nvlm(**inputs).logits, by_ids, rtol=0, atol=0)


# --- Loss ------------------------------------------------------------------------------------------------------------


@every_architecture
def test_loss_on_supervised_rows_is_the_loss_on_all_rows(architecture: str):
    nvlm, inputs = model(architecture), with_labels(mixed(architecture), 3)
    full = nvlm(**inputs, logits_to_keep=0)
    labels = inputs["labels"]
    expected = torch.nn.functional.cross_entropy(full.logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
    sparse = nvlm(**inputs)
    torch.testing.assert_close(sparse.loss, expected)
    torch.testing.assert_close(full.loss, expected)
    assert sparse.logits is None and full.logits.shape[:2] == labels.shape
    assert nvlm(**inputs, logits_to_keep=2).logits.shape[1] == 2


def test_the_head_sees_supervised_rows_only():
    nvlm, inputs = model("D"), with_labels(mixed("D"), 3)
    seen = []
    nvlm.language_model.lm_head.register_forward_hook(lambda module, args, output: seen.append(args[0].shape))
    nvlm(**inputs)
    assert seen == [(9, 32)]


@every_architecture
def test_gradients_of_both_losses_are_the_same(architecture: str):
    inputs = with_labels(mixed(architecture), 3)
    gradients = []
    for keep in (None, 0):
        nvlm = model(architecture)
        nvlm(**inputs, logits_to_keep=keep).loss.backward()
        gradients.append({name: p.grad for name, p in nvlm.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], msg=name)


def test_the_loss_may_be_divided_by_the_global_number_of_tokens():
    nvlm, inputs = model("D"), with_labels(mixed("D"), 3)
    mean = nvlm(**inputs).loss
    for count in (18, torch.tensor(18)):
        torch.testing.assert_close(nvlm(**inputs, num_items_in_batch=count).loss, mean / 2)


def test_no_supervised_token_is_a_loss_of_zero_with_gradients():
    nvlm, inputs = model("D"), mixed("D")
    loss = nvlm(**inputs, labels=torch.full_like(inputs["input_ids"], -100)).loss
    loss.backward()
    assert loss.item() == 0.0


def test_the_first_label_of_a_row_has_no_row_that_predicts_it():
    assert predicting_rows(torch.tensor([[7, -100, 8, 9]])).tolist() == [[False, True, True, False]]


# --- Training --------------------------------------------------------------------------------------------------------

NEW_PARTS = ("connector.", "cross_attention.")


@every_architecture
@pytest.mark.parametrize("stage", ["pretrain", "sft"])
def test_a_tiny_model_overfits_one_batch(architecture: str, stage: str):
    """Two pictures, one question, two answers: only the pictures tell them apart."""
    rows = [[Picture(2), [40, 41], [60 + index, 70 + index]] for index in range(2)]
    inputs = with_labels(batch(architecture, *rows), 2)
    torch.manual_seed(0)
    nvlm = NVLMForConditionalGeneration(config(architecture, cross_attention_gate_init=0.2)).train()
    for name, parameter in nvlm.named_parameters():
        new = any(part in name for part in NEW_PARTS)
        parameter.requires_grad_(new or (stage == "sft" and name.startswith("language_model.")))
    trained = [parameter for parameter in nvlm.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-2, weight_decay=0.0)
    right = False
    for _ in range(200):
        outputs = nvlm(**inputs, logits_to_keep=3)
        right = bool((outputs.logits[:, :-1].argmax(-1) == inputs["input_ids"][:, -2:]).all())
        if right:
            break
        optimiser.zero_grad()
        outputs.loss.backward()
        optimiser.step()
    assert right, outputs.loss
    assert all(parameter.grad is None for parameter in nvlm.vision_model.parameters())


@every_architecture
def test_everything_that_is_used_gets_a_gradient(architecture: str):
    nvlm = model(architecture).train()
    nvlm(**with_labels(mixed(architecture), 3)).loss.backward()
    missing = [name for name, p in nvlm.named_parameters() if p.grad is None and "pooler" not in name]
    assert missing == []


@every_architecture
def test_activation_checkpointing_gives_the_same_gradients(architecture: str):
    inputs = with_labels(mixed(architecture), 3)
    gradients = []
    for checkpointed in (False, True):
        nvlm = model(architecture, cross_attention_feed_forward=True).train()
        if checkpointed:
            nvlm.activation_checkpointing_enable()
        nvlm(**inputs).loss.backward()
        gradients.append({name: p.grad for name, p in nvlm.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], msg=name)


# --- Backbones -------------------------------------------------------------------------------------------------------


@every_architecture
def test_from_backbones_shares_weights_and_leaves_them_as_they_are(architecture: str):
    torch.manual_seed(1)
    wanted = config(architecture)
    vision, language = AutoModel.from_config(wanted.vision_config), AutoModelForCausalLM.from_config(wanted.text_config)
    language.generation_config.eos_token_id = 77
    before = {name: value.clone() for name, value in language.state_dict().items()}
    pixels = {name: value.clone() for name, value in vision.state_dict().items()}
    nvlm = NVLMForConditionalGeneration.from_backbones(wanted, vision, language)
    assert nvlm.language_model is language and nvlm.vision_model is vision
    for name, value in before.items():
        assert torch.equal(language.state_dict()[name], value), name
    for name, value in pixels.items():
        assert torch.equal(vision.state_dict()[name], value), name
    assert nvlm.config.text_config is language.config
    assert nvlm.generation_config.eos_token_id == 77


def test_from_backbones_takes_over_their_configurations():
    """The configuration given says how to put together; what is put together speaks for itself."""
    language = AutoModelForCausalLM.from_config(text_config("llama", num_hidden_layers=2))
    nvlm = NVLMForConditionalGeneration.from_backbones(config("X"), language_model=language)
    assert nvlm.config.text_config is language.config
    assert nvlm.config.cross_attention_layers == (1,)
    assert nvlm(**batch("X", [Picture(2), text(3)])).logits.isfinite().all()


def test_new_parts_get_the_language_models_dtype():
    language = AutoModelForCausalLM.from_config(text_config()).to(torch.bfloat16)
    nvlm = NVLMForConditionalGeneration.from_backbones(config("H"), language_model=language)
    assert {p.dtype for new in (nvlm.connector, *nvlm.cross_attentions()) for p in new.parameters()} == {torch.bfloat16}
    assert nvlm(**batch("H", [Picture(2), text(3)])).logits.dtype == torch.bfloat16


@pytest.mark.parametrize("architecture", WITH_MEMORY)
def test_warm_start_reads_memory_as_the_given_backbone_reads_text(architecture: str):
    language = AutoModelForCausalLM.from_config(text_config("llama"))
    for layer in language.model.layers:
        nn.init.uniform_(layer.input_layernorm.weight, 0.5, 2.0)
    changes = dict(cross_attention_warm_start=True, cross_attention_gate_init=0.5)
    words = language.get_input_embeddings().weight.detach()
    size = words.square().mean(-1).median().sqrt()
    words[::3] *= 100  # as of words that the language model never met
    nvlm = NVLMForConditionalGeneration.from_backbones(config(architecture, **changes), language_model=language)
    like_words = nn.functional.normalize(torch.randn(9, words.shape[1])) * size * 32**0.5
    for layer in (nvlm.language_model.model.layers[index] for index in nvlm.config.cross_attention_layers):
        own, text = layer.cross_attention, layer.input_layernorm(like_words)
        torch.testing.assert_close(own.v_proj(like_words), layer.self_attn.v_proj(text), rtol=0.1, atol=1e-4)
        key = own.k_norm(own.k_proj(like_words).unflatten(-1, (-1, own.head_dim)))
        wanted = layer.self_attn.k_proj(text).unflatten(-1, (-1, own.head_dim))
        torch.testing.assert_close(key / key.norm(dim=-1, keepdim=True), wanted / wanted.norm(dim=-1, keepdim=True))
        assert 0.5 < (key.norm() / wanted.norm()).item() < 2.0
        assert own.gate.item() == 0.5


@every_architecture
def test_a_deep_copy_is_a_model_of_its_own(architecture: str):
    nvlm = model(architecture)
    twin, inputs = copy.deepcopy(nvlm), mixed(architecture)
    torch.testing.assert_close(twin(**inputs).logits, nvlm(**inputs).logits, rtol=0, atol=0)
    with torch.no_grad():
        twin.get_input_embeddings().weight.zero_()
    assert nvlm.get_input_embeddings().weight.abs().sum() > 0


def test_vocabulary_can_grow():
    nvlm, inputs = model("D"), batch("D", [Picture(1), text(3)])
    before = nvlm(**inputs).logits
    nvlm.resize_token_embeddings(110, mean_resizing=False)
    assert nvlm.get_output_embeddings().weight.shape == (110, 32)
    torch.testing.assert_close(nvlm(**inputs).logits[..., :96], before)
