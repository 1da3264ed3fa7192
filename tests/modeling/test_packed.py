"""Packed rows: the same numbers as the same samples one to a row, and no way from one sample to another."""

from collections import defaultdict
from functools import partial
from itertools import islice
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import masking_utils
from transformers import modeling_flash_attention_utils as flash_attention

from nvlm.modeling import NVLMForConditionalGeneration
from nvlm.modeling.masks import may_read, views_by_sample
from nvlm.modeling.packed import Block, SampleMask, attention_inputs, check_labels, sample_lengths
from tests.modeling.batches import (
    EVERY_ARCHITECTURE,
    PAD,
    TILE,
    Picture,
    Row,
    batch,
    lay_out,
    model,
    padded,
    text,
    text_config,
)

Sample = list[list[int] | Picture]

TILED: Sample = [text(3), Picture(6), text(5)]
TEXT: Sample = [text(9, seed=1)]
TWO_IMAGES: Sample = [Picture(2), text(4, seed=2), Picture(1), text(3, seed=3)]
ONE_TILE: Sample = [text(4, seed=4), Picture(1), text(2, seed=5)]
SAMPLES = (TILED, TEXT, TWO_IMAGES, ONE_TILE)

every_architecture = pytest.mark.parametrize("architecture", EVERY_ARCHITECTURE)
two_families = pytest.mark.parametrize("family", ["qwen2", "llama"])


def joined(samples: list[Row]) -> Row:
    """Samples one after another."""
    row = Row()
    for sample in samples:
        for name, own in vars(row).items():
            own += getattr(sample, name)
    return row


def packed(architecture: str, *rows: list[Sample], seed: int = 0) -> dict[str, Tensor]:
    """The model's inputs for rows of several samples: padded on the right, views numbered as `batch` numbers them."""
    laid_out, counts, views = [], [], 0
    for samples in rows:
        done = []
        for parts in samples:
            sample, views = lay_out(parts, architecture, views)
            done.append(sample)
        laid_out.append(joined(done))
        counts.append([len(sample.tokens) for sample in done])
    width = max(map(sum, counts))
    positions = [[place for count in [*own, width - sum(own)] for place in range(count)] for own in counts]
    inputs = {"input_ids": padded([row.tokens for row in laid_out], PAD), "position_ids": torch.tensor(positions)}
    if views:
        generator = torch.Generator().manual_seed(seed)
        inputs["pixel_values"] = torch.randn(views, 3, TILE, TILE, generator=generator)
    if any(row.in_sequence for row in laid_out):
        inputs["sequence_views"] = padded([row.in_sequence for row in laid_out], -1)
    if any(row.in_memory for row in laid_out):
        memory = inputs["memory_views"] = padded([row.in_memory for row in laid_out], -1)
        mask = inputs["cross_attention_mask"] = torch.zeros(len(rows), width, memory.shape[1], dtype=torch.bool)
        for number, row in enumerate(laid_out):
            for token, reads in enumerate(row.reads):
                mask[number, token] = torch.tensor([int(view) in reads for view in memory[number]])
        if longest := max(len(name) for row in laid_out for name in row.memory_tags):
            ids = inputs["memory_tag_ids"] = torch.full((*memory.shape, longest), -1)
            for number, row in enumerate(laid_out):
                for view, name in enumerate(row.memory_tags):
                    ids[number, view, : len(name)] = torch.tensor(name)
    return inputs


def one_to_a_row(architecture: str, *samples: Sample) -> tuple[dict[str, Tensor], list[int]]:
    """The same samples padded, and their lengths."""
    inputs = batch(architecture, *samples, left=False)
    return inputs, inputs["attention_mask"].sum(1).tolist()


def supervised(inputs: dict[str, Tensor], lengths: list[int], alone: bool, last: int = 3) -> dict[str, Tensor]:
    """Supervise the last tokens of every sample, of rows that hold one sample each or all of them."""
    labels = torch.full_like(inputs["input_ids"], -100)
    row, first = 0, 0
    for length in lengths:
        place = (row, slice(first + length - last, first + length))
        labels[place] = inputs["input_ids"][place]
        row, first = (row + 1, 0) if alone else (row, first + length)
    return inputs | {"labels": labels}


def losses_by_sample(logits: Tensor, inputs: dict[str, Tensor], lengths: list[int], alone: bool) -> list[float]:
    """The loss of each sample, from the logits of all tokens."""
    losses, row, first = [], 0, 0
    for length in lengths:
        place = slice(first, first + length)
        own, labels = logits[row, place], inputs["labels"][row, place]
        losses.append(F.cross_entropy(own[:-1], labels[1:], ignore_index=-100).item())
        row, first = (row + 1, 0) if alone else (row, first + length)
    return losses


# --- The same numbers as one sample to a row -------------------------------------------------------------------------


@two_families
@every_architecture
def test_every_sample_has_the_loss_and_logits_that_it_has_alone(architecture: str, family: str):
    """Largest difference seen in fp32: of a loss 1e-6, of a logit 2e-6 (logits reach 3.7)."""
    nvlm = model(architecture, family)
    rows, lengths = one_to_a_row(architecture, *SAMPLES)
    rows, row = supervised(rows, lengths, True), supervised(packed(architecture, list(SAMPLES)), lengths, False)
    keep = {"logits_to_keep": 0}
    alone, together = nvlm(**rows, **keep), nvlm(**row, **keep)
    for wanted, found, length in zip(alone.logits, together.logits[0].split(lengths), lengths, strict=True):
        torch.testing.assert_close(found, wanted[:length], rtol=1e-5, atol=1e-5)
    wanted, found = (
        losses_by_sample(logits, inputs, lengths, one)
        for logits, inputs, one in ((alone.logits, rows, True), (together.logits, row, False))
    )
    assert found == pytest.approx(wanted, abs=1e-5)
    assert together.loss.item() == pytest.approx(alone.loss.item(), abs=1e-5)


def gradients(
    inputs: dict[str, Tensor],
    architecture: str,
    family: str = "qwen2",
    dtype: torch.dtype = torch.float32,
    checkpointed: bool = False,
) -> dict[str, Tensor]:
    """Of the loss, by parameter, of a fresh model."""
    nvlm = model(architecture, family).train().to(dtype)
    if checkpointed:
        nvlm.activation_checkpointing_enable()
    nvlm(**inputs | {"pixel_values": inputs["pixel_values"].to(dtype)}).loss.backward()
    return {name: p.grad for name, p in nvlm.named_parameters() if p.grad is not None}


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [
        pytest.param(torch.float64, 1e-12, id="fp64"),  # at most 4e-16 seen: the same sums
        pytest.param(torch.float32, 1e-5, id="fp32"),  # at most 1e-6 seen: in another order
    ],
)
@two_families
@every_architecture
def test_gradients_are_those_of_one_sample_to_a_row(
    architecture: str, family: str, dtype: torch.dtype, tolerance: float
):
    """To this share of the largest gradient."""
    rows, lengths = one_to_a_row(architecture, *SAMPLES)
    wanted = gradients(supervised(rows, lengths, True), architecture, family, dtype)
    found = gradients(supervised(packed(architecture, list(SAMPLES)), lengths, False), architecture, family, dtype)
    assert found.keys() == wanted.keys()
    atol = tolerance * max(gradient.abs().max().item() for gradient in wanted.values())
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, rtol=0, atol=atol, msg=name)


@every_architecture
def test_rows_of_a_batch_may_hold_different_samples_and_be_padded(architecture: str):
    """Beside a row with all kinds of images, one of text alone and one with a single sample."""
    nvlm = model(architecture)
    rows = [list(SAMPLES), [TEXT, [text(2, seed=6)]], [ONE_TILE]]
    logits = nvlm(**packed(architecture, *rows)).logits
    inputs, lengths = one_to_a_row(architecture, *(sample for samples in rows for sample in samples))
    alone = zip(nvlm(**inputs).logits, lengths, strict=True)
    for row, samples in zip(logits, rows, strict=True):
        first = 0
        for wanted, length in islice(alone, len(samples)):
            torch.testing.assert_close(row[first : first + length], wanted[:length], rtol=1e-5, atol=1e-5)
            first += length


@every_architecture
def test_rows_of_text_alone_have_no_memory(architecture: str):
    nvlm = model(architecture)
    samples = [TEXT, [text(5, seed=7)], [text(1, seed=8)], [text(6, seed=9)]]
    inputs, lengths = one_to_a_row(architecture, *samples)
    row = packed(architecture, samples)
    assert set(row) == {"input_ids", "position_ids"}
    for found, wanted in zip(nvlm(**row).logits[0].split(lengths), nvlm(**inputs).logits, strict=True):
        torch.testing.assert_close(found, wanted[: len(found)], rtol=1e-5, atol=1e-5)


def test_h_a_one_tile_image_beside_tiled_ones_has_an_empty_memory():
    row = packed("H", [TILED, ONE_TILE, TWO_IMAGES])
    lengths = one_to_a_row("H", TILED, ONE_TILE, TWO_IMAGES)[1]
    assert views_by_sample(row["cross_attention_mask"], [lengths]) == [[6, 0, 2]]
    own = slice(lengths[0], lengths[0] + lengths[1])
    assert not row["cross_attention_mask"][0, own].any()
    alone = model("H")(**batch("H", ONE_TILE) | {"pixel_values": row["pixel_values"][7:8]}).logits[0]
    torch.testing.assert_close(model("H")(**row).logits[0, own], alone, rtol=1e-5, atol=1e-5)


@every_architecture
def test_checkpointed_activations_give_the_same_gradients(architecture: str):
    lengths = one_to_a_row(architecture, *SAMPLES)[1]
    inputs = supervised(packed(architecture, list(SAMPLES)), lengths, False)
    wanted = gradients(inputs, architecture)
    for name, gradient in gradients(inputs, architecture, checkpointed=True).items():
        torch.testing.assert_close(gradient, wanted[name], msg=name)


# --- No sample sees another ------------------------------------------------------------------------------------------


def changed_tokens(nvlm: NVLMForConditionalGeneration, before: dict[str, Tensor], after: dict[str, Tensor]) -> Tensor:
    """(S,) bool: tokens of the first row whose logits are not exactly what they were."""
    return (nvlm(**before).logits != nvlm(**after).logits).any(-1)[0]


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@every_architecture
def test_another_text_changes_its_own_sample_and_no_bit_of_the_others(architecture: str, attention: str):
    nvlm = model(architecture)
    nvlm.set_attn_implementation(attention)
    inputs, lengths = packed(architecture, list(SAMPLES)), one_to_a_row(architecture, *SAMPLES)[1]
    first = 0
    for length in lengths:
        other = inputs["input_ids"].clone()
        place = first if other[0, first] >= 32 else first + length - 1  # a token of text
        other[0, place] = 32 + (other[0, place] - 31) % 60
        changed = changed_tokens(nvlm, inputs, inputs | {"input_ids": other})
        assert changed[place : first + length].all()
        assert not changed[:place].any() and not changed[first + length :].any()
        first += length


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@every_architecture
def test_another_picture_changes_its_own_sample_and_no_bit_of_the_others(architecture: str, attention: str):
    nvlm = model(architecture)
    nvlm.set_attn_implementation(attention)
    inputs, lengths = packed(architecture, list(SAMPLES)), one_to_a_row(architecture, *SAMPLES)[1]
    own_views = {0: (0, 6), 2: (7, 9, 10), 3: (11,)}  # tiles, thumbnails, the image of one tile
    for sample, views in own_views.items():
        place = slice(sum(lengths[:sample]), sum(lengths[: sample + 1]))
        for view in views:
            pixels = inputs["pixel_values"].clone()
            pixels[view] += 1.0
            changed = changed_tokens(nvlm, inputs, inputs | {"pixel_values": pixels})
            assert changed[place][-1], view
            changed[place] = False
            assert not changed.any(), view


# --- Every kind of self-attention ------------------------------------------------------------------------------------


def test_sdpa_never_writes_a_mask_out(monkeypatch: pytest.MonkeyPatch):
    def refuse(mask: SampleMask) -> Tensor:
        raise AssertionError("a mask of all pairs was made")

    monkeypatch.setattr(SampleMask, "written_out", refuse)
    for architecture in EVERY_ARCHITECTURE:
        lengths = one_to_a_row(architecture, *SAMPLES)[1]
        nvlm = model(architecture).train()
        nvlm(**supervised(packed(architecture, list(SAMPLES)), lengths, False)).loss.backward()


@pytest.mark.parametrize("window", [4, 60])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@every_architecture
def test_a_sliding_window_slides_inside_each_sample(architecture: str, attention: str, window: int):
    """A window that is shorter than the samples needs transformers' mask; one that is longer cuts nothing."""
    nvlm = model(architecture, text_config=text_config("mistral", sliding_window=window))
    nvlm.set_attn_implementation(attention)
    inputs, lengths = one_to_a_row(architecture, *SAMPLES)
    found = nvlm(**packed(architecture, list(SAMPLES))).logits[0].split(lengths)
    for own, wanted in zip(found, nvlm(**inputs).logits, strict=True):
        torch.testing.assert_close(own, wanted[: len(own)], rtol=1e-5, atol=1e-5)
    given = attention_inputs(nvlm.language_model.config, [lengths], torch.device("cpu"))
    assert set(given) == ({"attention_mask"} if attention == "sdpa" and window == 60 else set())


def varlen(q: Tensor, k: Tensor, v: Tensor, *, cu_seqlens_q: Tensor, cu_seqlens_k: Tensor, **options: Any) -> Tensor:
    """What a flash kernel for rows of several samples computes, by definition: (tokens, heads, size)."""
    assert options["causal"] and options["max_seqlen_q"] == cu_seqlens_q.diff().max()
    assert torch.equal(cu_seqlens_q, cu_seqlens_k) and cu_seqlens_q.dtype == torch.int32
    groups = q.shape[1] // k.shape[1]
    k, v = (states.repeat_interleave(groups, dim=1) for states in (k, v))
    counts = cu_seqlens_q.diff().tolist()
    samples = zip(*(states.transpose(0, 1)[None].split(counts, dim=2) for states in (q, k, v)), strict=True)
    scale = options["softmax_scale"]
    done = [F.scaled_dot_product_attention(*sample, is_causal=True, scale=scale) for sample in samples]
    return torch.cat(done, dim=2)[0].transpose(0, 1)


@every_architecture
def test_flash_attention_is_told_where_each_sample_begins(architecture: str, monkeypatch: pytest.MonkeyPatch):
    """transformers' own way to a flash kernel, with a plain function in the kernel's place; no GPU was used."""
    options = partial(flash_attention._process_flash_attention_kwargs, supports_mapping=defaultdict(lambda: True))
    used = []

    def kernels(*args: Any) -> Any:
        def counted(*states: Tensor, **given: Any) -> Tensor:
            used.append(len(given["cu_seqlens_q"]))
            return varlen(*states, **given)

        return (None, counted, None, None, None), (options, None)

    monkeypatch.setattr(flash_attention, "lazy_import_flash_attention", kernels)
    nvlm = model(architecture)
    rows = packed(architecture, [*SAMPLES], [TEXT, ONE_TILE])
    wanted = nvlm(**rows).logits
    nvlm.language_model.config._attn_implementation_internal = "flash_attention_2"
    torch.testing.assert_close(nvlm(**rows).logits, wanted, rtol=1e-5, atol=1e-5)
    assert used == [4 + 3 + 1] * 4  # both rows' samples, the padding of the second, and the end; four layers


def test_flex_attention_gets_its_mask_from_the_positions(monkeypatch: pytest.MonkeyPatch):
    """The function from which transformers compiles a block mask allows what SDPA computes by blocks."""
    monkeypatch.setattr(masking_utils, "create_block_mask", lambda mask_mod, **sizes: mask_mod)
    config = text_config()
    config._attn_implementation_internal = "flex_attention"
    row, lengths = packed("D", list(SAMPLES)), one_to_a_row("D", *SAMPLES)[1]
    assert attention_inputs(config, [lengths], torch.device("cpu")) == {}
    embeds = torch.zeros(1, sum(lengths), config.hidden_size)
    allows = masking_utils.create_causal_mask(config, embeds, None, None, position_ids=row["position_ids"])
    at = torch.arange(sum(lengths))
    found = allows(torch.zeros((), dtype=torch.long), torch.zeros((), dtype=torch.long), at[:, None], at[None])
    wanted = SampleMask([[Block(length, length) for length in lengths]], torch.device("cpu"))
    assert torch.equal(found, wanted[0, 0])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # dynamo looks at it itself
@every_architecture
def test_a_compiled_model_computes_the_same(architecture: str):
    """With transformers' masks: blocks would be compiled anew for every row."""
    one_layer = dict(text_config=text_config(num_hidden_layers=1), cross_attention_every=1)
    nvlm = model(architecture, **one_layer).train()
    lengths = one_to_a_row(architecture, *SAMPLES)[1]
    inputs = supervised(packed(architecture, list(SAMPLES)), lengths, False)
    loss = torch.compile(nvlm, backend="eager")(**inputs).loss
    loss.backward()
    torch.testing.assert_close(loss, nvlm(**inputs).loss, rtol=0, atol=1e-5)


def test_attention_that_nobody_knows_is_refused():
    config = text_config()
    config._attn_implementation_internal = "my_kernel"
    with pytest.raises(ValueError, match="runs 'my_kernel', of which it is not known"):
        attention_inputs(config, [[3, 2]], torch.device("cpu"))


def test_layers_that_carry_a_state_along_the_row_are_refused():
    config = text_config("qwen3")
    config.layer_types = ["linear_attention", "full_attention"] * 2
    with pytest.raises(ValueError, match="layers of the kind linear_attention, which would carry"):
        attention_inputs(config, [[3, 2]], torch.device("cpu"))


# --- Which rows are packed -------------------------------------------------------------------------------------------


def test_samples_are_stretches_of_consecutive_positions():
    positions = torch.tensor([[0, 1, 2, 0, 0, 1], [0, 1, 2, 3, 4, 5]])
    assert sample_lengths(positions, None, None, 2) == [[3, 1, 2], [6]]
    assert sample_lengths(positions[:1], None, None, 3) == [[3, 1, 2]] * 3  # one row of positions for all rows


def test_rows_of_one_sample_are_not_packed():
    assert sample_lengths(None, None, None, 2) is None
    assert sample_lengths(torch.arange(5)[None], None, True, 2) is None
    assert sample_lengths(torch.tensor([[3]]), None, True, 1) is None
    left = torch.tensor([[0, 0, 1, 1, 1]])
    assert sample_lengths(torch.tensor([[1, 1, 0, 1, 2]]), left, True, 1) is None  # positions of padding mean nothing


def test_what_would_let_samples_see_each_other_is_refused():
    nvlm, row = model("D"), packed("D", list(SAMPLES))
    with pytest.raises(ValueError, match="comes with an attention_mask, which would let them see each other"):
        nvlm(**row, attention_mask=torch.ones_like(row["input_ids"]))
    with pytest.raises(ValueError, match="comes with a cache"):
        nvlm(**row, use_cache=True)
    assert nvlm(**row).past_key_values is None


def test_a_label_that_another_sample_would_predict_is_refused():
    nvlm, row = model("D"), packed("D", list(SAMPLES))
    with pytest.raises(ValueError, match=r"the label of token 54 of row 0 is the first of its sample.* of 3 first"):
        nvlm(**row, labels=row["input_ids"])
    check_labels(torch.tensor([[5, 6, -100, 7], [5, 6, 7, 8]]), [[2, 2], [4]])  # the first of a row predicts nothing


# --- The mask that is known by its blocks ----------------------------------------------------------------------------


def some_mask() -> SampleMask:
    """Two rows of 5 tokens and 6 keys: causal, reading, reading nothing; and keys that nobody reads."""
    generator = torch.Generator().manual_seed(3)
    allowed = (torch.rand(2, 3, generator=generator) > 0.3).index_fill(1, torch.tensor([0]), True)
    first = [Block(2, 3, allowed), Block(1, 0), Block(2, 2)]
    return SampleMask([first, [Block(5, 5)]], torch.device("cpu"), keys=6)


def test_attention_by_blocks_is_attention_with_the_mask_written_out():
    mask = some_mask()
    generator = torch.Generator().manual_seed(4)
    shapes = ((2, 4, 5, 8), (2, 2, 6, 8), (2, 2, 6, 8))
    states = [torch.randn(shape, generator=generator, requires_grad=True) for shape in shapes]
    found = F.scaled_dot_product_attention(*states, attn_mask=mask, scale=0.7, enable_gqa=True)
    wanted = F.scaled_dot_product_attention(*states, attn_mask=mask.written_out(), scale=0.7, enable_gqa=True)
    read = mask.written_out().any(-1, keepdim=True)
    assert not found.masked_select(~read).any()
    torch.testing.assert_close(found, wanted.masked_fill(~read, 0.0))
    weights = torch.randn(found.shape, generator=generator)
    gradients = [
        torch.autograd.grad((out * weights).masked_fill(~read, 0.0).sum(), states, retain_graph=True)
        for out in (found, wanted)
    ]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


def test_every_other_operation_sees_the_mask_written_out():
    mask = some_mask()
    full = mask.written_out()
    assert type(full) is Tensor
    assert (mask.shape, mask.dtype, mask.device, mask.ndim) == (full.shape, torch.bool, full.device, 4)
    assert not mask.requires_grad and not torch.is_floating_point(mask)
    assert torch.equal(mask, full)
    assert torch.equal(mask[1, 0, :, :5], torch.ones(5, 5).tril().bool())
    assert torch.equal(mask.to(torch.float32), full.float())
    assert torch.equal(~mask, ~full)
    assert torch.equal(torch.cat([full, mask]), torch.cat([full, full]))
    assert int(mask.sum()) == int(full.sum())
    assert "True" in repr(mask)


def test_a_mask_and_is_causal_exclude_each_other():
    states = torch.zeros(2, 1, 5, 4), torch.zeros(2, 1, 6, 4), torch.zeros(2, 1, 6, 4)
    with pytest.raises(ValueError, match="give one of them"):
        F.scaled_dot_product_attention(*states, attn_mask=some_mask(), is_causal=True)


def test_blocks_of_memory_are_what_may_read_says_without_them():
    for architecture in ("X", "H"):
        row, lengths = packed(architecture, list(SAMPLES)), one_to_a_row(architecture, *SAMPLES)[1]
        views, tags = row["cross_attention_mask"], row.get("memory_tag_ids")
        blocks, readers = may_read(views, tags, 4, [lengths])
        full, same = may_read(views, tags, 4)
        assert isinstance(blocks, SampleMask) and torch.equal(readers, same)
        assert torch.equal(blocks & readers[:, None], full & readers[:, None])


def test_samples_may_share_a_view_in_memory():
    """Two questions about one picture: then the mask is written out, and the numbers are the same."""
    nvlm = model("X")
    row, lengths = packed("X", [TWO_IMAGES, TWO_IMAGES]), one_to_a_row("X", TWO_IMAGES, TWO_IMAGES)[1]
    pixels = row["pixel_values"][:4]
    twice = row | {"pixel_values": torch.cat([pixels, pixels])}
    mask = row["cross_attention_mask"]
    shared = row | {"pixel_values": pixels, "memory_views": row["memory_views"][:, :4]}
    shared["cross_attention_mask"] = mask[..., :4] | mask[..., 4:]
    assert views_by_sample(shared["cross_attention_mask"], [lengths]) is None
    torch.testing.assert_close(nvlm(**shared).logits, nvlm(**twice).logits, rtol=1e-5, atol=1e-5)
