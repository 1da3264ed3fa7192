import logging
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoProcessor

from nvlm.processing import ImageError, Limits, NVLMImageProcessor, NVLMProcessor, tiles
from nvlm.processing.budget import note_lowered
from nvlm.processing.normalise import normalise
from tests.processing.builders import TILE, assistant, picture, processor, user
from tests.processing.tiny_tokenizers import llama_like, qwen_like

ARCHITECTURES = ("D", "X", "H")
MIXED = [
    [user(picture(2, 1, "red"), picture(1, 1, "green"), "What?"), assistant("Two.")],
    [user("Hi"), assistant("Hello.")],
    [user("a"), assistant("b"), user(picture(1, 2, "blue"), "c"), assistant("d")],
]
"""Two images, text only, and an image in the second turn: 3 + 1 + 0 + 3 views."""
EXPECTED: dict[str, dict[str, list[Any]]] = {
    "D": {"sequence_views": [[0, 1, 2, 3], [-1, -1, -1, -1], [4, 5, 6, -1]]},
    "X": {"memory_views": [[0, 1, 2, 3], [-1, -1, -1, -1], [4, 5, 6, -1]]},
    "H": {"sequence_views": [[2, 3], [-1, -1], [6, -1]], "memory_views": [[0, 1], [-1, -1], [4, 5]]},
}
INPUTS = {
    "D": {"input_ids", "attention_mask", "pixel_values", "sequence_views"},
    "X": {"input_ids", "attention_mask", "pixel_values", "memory_views", "cross_attention_mask"},
    "H": {
        "input_ids", "attention_mask", "pixel_values", "sequence_views",
        "memory_views", "memory_tag_ids", "cross_attention_mask",
    },
}  # fmt: skip


# The batch -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_training_batch(architecture: str) -> None:
    made_by = processor(architecture)
    batch = made_by.encode(MIXED)
    assert set(batch) == INPUTS[architecture] | {"labels"}
    for name in ("sequence_views", "memory_views"):
        assert (batch[name].tolist() if name in batch else None) == EXPECTED[architecture].get(name)
    rows = [made_by.layout(turns, grids) for turns, grids in zip(MIXED, [[(2, 1), (1, 1)], [], [(1, 2)]], strict=True)]
    for number, row in enumerate(rows):
        length = len(row)
        assert batch["input_ids"][number, :length].tolist() == row.input_ids.tolist()
        assert batch["attention_mask"][number].tolist() == [1] * length + [0] * (batch["input_ids"].shape[1] - length)
        labels = batch["labels"][number]
        assert labels[labels >= 0].tolist() == row.input_ids[row.supervised].tolist()
        assert (labels[length:] == -100).all()
        if "memory_views" in batch:
            mask = batch["cross_attention_mask"][number]
            assert mask[:length, : len(row.memory_views)].tolist() == row.readable().tolist()
            assert not mask[length:].any()
            assert not mask[:, len(row.memory_views) :].any()
    assert {str(value.dtype) for name, value in batch.items() if name.endswith(("ids", "labels", "views"))} == {
        "torch.int64"
    }


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_pixels_are_every_view_of_the_batch_in_reading_order(architecture: str) -> None:
    pictures = [picture(2, 1, "red"), picture(1, 1, "green"), picture(1, 2, "blue")]
    expected = normalise(np.concatenate([tiles(image, TILE) for image in pictures]))
    batch = processor(architecture).encode(MIXED)
    assert torch.equal(batch["pixel_values"], expected)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_row_in_a_batch_is_the_row_alone(architecture: str) -> None:
    made_by = processor(architecture)
    batch = made_by.encode(MIXED, padding_side="left")
    for number, turns in enumerate(MIXED):
        alone = made_by.encode([turns])
        length = alone["input_ids"].shape[1]
        for name in ("input_ids", "labels"):
            assert torch.equal(batch[name][number, -length:], alone[name][0])
        if "cross_attention_mask" in alone:
            count = alone["memory_views"].shape[1]
            assert torch.equal(
                batch["cross_attention_mask"][number, -length:, :count], alone["cross_attention_mask"][0]
            )


def test_tags_in_memory_stand_beside_their_view() -> None:
    made_by = processor("H")
    ids = made_by.encode(MIXED)["memory_tag_ids"]
    tags = [made_by.tokenizer(f"<tile_{k}>", add_special_tokens=False).input_ids for k in (1, 2)]
    nothing = [[-1] * len(tags[0])] * 2
    assert ids.tolist() == [tags, nothing, tags]
    assert "memory_tag_ids" not in processor("H", tag_format="none").encode(MIXED)


def test_memory_tags_of_unequal_length_are_padded() -> None:
    made_by = processor("H", max_tiles=12)
    ids = made_by.encode([[user(picture(5, 2), "x")]])["memory_tag_ids"][0]
    assert (ids[:9, -1] == -1).all()
    assert ids[9].tolist() == made_by.tokenizer("<tile_10>", add_special_tokens=False).input_ids


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_text_only_batches_hold_text_only(architecture: str) -> None:
    batch = processor(architecture).encode([MIXED[1]], supervise=False)
    assert set(batch) == {"input_ids", "attention_mask"}


def test_one_tile_images_leave_the_memory_of_h_empty() -> None:
    batch = processor("H").encode([[user(picture(), "x")], [user(picture(), picture(), "x")]], supervise=False)
    assert set(batch) == {"input_ids", "attention_mask", "pixel_values", "sequence_views"}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_grids_in_place_of_pictures_give_the_same_batch_without_pixels(architecture: str) -> None:
    made_by = processor(architecture)
    pictured = made_by.encode(MIXED)
    pictured.pop("pixel_values")
    laid_out = made_by.encode(MIXED, grids=[[(2, 1), (1, 1)], [], [(1, 2)]])
    assert set(laid_out) == set(pictured)
    assert all(torch.equal(laid_out[name], pictured[name]) for name in pictured)


def test_a_prompt_for_pictures_that_were_cut_already() -> None:
    made_by = processor("H")
    options = {"add_generation_prompt": True, "tokenize": True, "return_dict": True}
    pictured = made_by.apply_chat_template([user(picture(2, 1), "What?")], **options)
    laid_out = made_by.apply_chat_template([user(None, "What?")], grids=[[(2, 1)]], **options)
    assert set(pictured) - set(laid_out) == {"pixel_values"}
    assert all(torch.equal(laid_out[name], pictured[name]) for name in laid_out)
    with pytest.raises(ValueError, match="grids are given for 2 rows, but there are 1 conversations"):
        made_by.apply_chat_template([user(None, "What?")], grids=[[(2, 1)], []], **options)
    with pytest.raises(ValueError, match="only 100 fit"):
        made_by.apply_chat_template([user(None, "What?" * 200)], grids=[[(2, 1)]], max_length=100, **options)


def test_without_a_thumbnail() -> None:
    batch = processor("D", thumbnail=False).encode([[user(picture(2, 1), picture(), "x")]])
    assert batch["sequence_views"].tolist() == [[0, 1, 2]]


# Prompts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_chat_prompt(architecture: str) -> None:
    made_by = processor(architecture)
    prompts = [turns[:1] for turns in MIXED]
    batch = made_by.apply_chat_template(prompts, add_generation_prompt=True, tokenize=True, return_dict=True)
    assert "labels" not in batch
    for row, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True):
        assert made_by.decode(row[-4:]).endswith("assistant\n")
        assert mask.tolist() == sorted(mask.tolist())
    ids = made_by.apply_chat_template(prompts[1], add_generation_prompt=True, tokenize=True)
    assert made_by.decode(ids[0]) == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"


def test_the_prompt_of_a_conversation_is_the_beginning_of_its_training_row() -> None:
    made_by = processor("X")
    prompt = made_by.apply_chat_template(MIXED[0][:1], add_generation_prompt=True, tokenize=True)
    row = made_by.encode([MIXED[0]])
    length = prompt.shape[1]
    assert torch.equal(row["input_ids"][:, :length], prompt)
    assert (row["labels"][:, :length] == -100).all()
    assert (row["labels"][:, length:] >= 0).all()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_strings_and_messages_give_the_same_batch(architecture: str) -> None:
    made_by = processor(architecture)
    turns = [user(picture(2, 1), picture(), "What?")]
    text = made_by.apply_chat_template(turns, add_generation_prompt=True)
    assert text == "<|im_start|>user\n<image>\n<image>\nWhat?<|im_end|>\n<|im_start|>assistant\n"
    from_text = made_by(text=text, images=[picture(2, 1), picture()])
    from_turns = made_by.apply_chat_template(turns, add_generation_prompt=True, tokenize=True, return_dict=True)
    assert set(from_text) == set(from_turns)
    assert all(torch.equal(from_text[name], from_turns[name]) for name in from_turns)


@pytest.mark.parametrize("images", [[picture(), picture(2, 1)], [[picture()], [], [picture(2, 1)]]])
def test_strings_share_a_flat_list_of_images(images: list[Any]) -> None:
    batch = processor("D")(text=["a<image>", "b", "<image>c"], images=images)
    assert batch["sequence_views"].tolist() == [[0, -1, -1], [-1, -1, -1], [1, 2, 3]]


def test_one_string_with_one_picture_in_any_form(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.png")
    for image in (picture(), [picture()], tmp_path / "a.png", np.asarray(picture()), [[picture()]]):
        assert processor("D")(text="<image>\nWhat?", images=image)["pixel_values"].shape == (1, 3, TILE, TILE)


def test_strings_get_the_tokenizers_begin_token_once() -> None:
    made_by = processor("D", tokenizer=llama_like())
    for text in ("Hi", "<|begin|>Hi"):
        assert made_by.decode(made_by(text=text)["input_ids"][0]) == "<|begin|>Hi"
    assert made_by.decode(processor("D")(text="Hi")["input_ids"][0]) == "Hi"


def test_settings_can_be_given_with_a_call() -> None:
    made_by = processor("D")
    for batch in (
        made_by.encode([[user(picture(3, 2), "x")]], max_tiles=2),
        made_by(text="<image>", images=picture(3, 2), max_tiles=2),
        made_by.apply_chat_template([user(picture(3, 2), "x")], tokenize=True, return_dict=True, max_tiles=2),
        made_by.apply_chat_template(
            [user(picture(3, 2), "x")], tokenize=True, return_dict=True, processor_kwargs={"max_tiles": 2}
        ),
    ):
        assert len(batch["pixel_values"]) == 3


def test_generated_ids_become_strings() -> None:
    made_by = processor("D")
    ids = made_by.encode([MIXED[1]])["input_ids"]
    assert made_by.post_process_image_text_to_text(ids) == ["user\nHi\nassistant\nHello.\n"]
    assert made_by.batch_decode(ids, skip_special_tokens=True) == ["user\nHi\nassistant\nHello.\n"]


# Length and budget ---------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["setting", "call", "tokenizer"])
def test_a_prompt_that_does_not_fit_is_an_error(how: str) -> None:
    made_by = {
        "setting": lambda: processor("D", tokens_per_view=20, max_length=99),
        "call": lambda: processor("D", tokens_per_view=20),
        "tokenizer": lambda: processor("D", tokens_per_view=20, tokenizer=qwen_like(model_max_length=99)),
    }[how]()
    options = {"max_length": 99} if how == "call" else {}
    message = (
        "the row has 183 tokens, 140 of them slots for its pictures, but only 99 fit into the context; use fewer tiles"
    )
    with pytest.raises(ValueError, match=message):
        made_by.encode([[user(picture(3, 2), "What?")]], **options)
    with pytest.raises(ValueError, match=message):
        made_by.encode([[user(picture(), "What?")]], grids=[[(3, 2)]], **options)
    assert made_by.encode([[user(picture(3, 2), "What?")]], max_tiles=1, **options)["input_ids"].shape == (1, 39)


def test_a_text_that_does_not_fit_says_nothing_of_pictures() -> None:
    with pytest.raises(
        ValueError, match=r"the row has \d+ tokens, but only 20 fit into the context; use a shorter text$"
    ):
        processor("D", max_length=20).encode([[user("What? " * 30)]])


def test_several_images_share_the_context_and_say_so(caplog: pytest.LogCaptureFixture) -> None:
    note_lowered.cache_clear()
    made_by = processor("D", tokens_per_view=20, max_tiles=12, max_length=300)
    turns = [user(picture(4, 3), picture(4, 3), picture(1, 1), "What?")]
    with caplog.at_level(logging.WARNING, "nvlm"):
        batch = made_by.encode([turns, [user("Hi")]])
    assert batch["sequence_views"].shape == (2, 11)  # 2 x 2 and the thumbnail, twice, and one
    assert [record.getMessage() for record in caplog.records] == [
        "3 images do not fit into 300 tokens with 12 tiles each: lowered to 4 (give fewer images, or max_tiles=4)"
    ]


def test_images_that_do_not_fit_with_one_tile_each_are_an_error() -> None:
    made_by = processor("D", tokens_per_view=20, max_length=50)
    with pytest.raises(ValueError, match="the row has 71 tokens, 40 of them slots for its pictures, but only 50 fit"):
        made_by.encode([[user(picture(3, 2), picture(3, 2), "What?")]])


def test_images_that_fit_are_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    batch = processor("X", max_length=200).encode([[user(*(picture(3, 2) for _ in range(3)), "What?")]])
    assert batch["memory_views"].shape == (1, 21)
    assert not caplog.records


# What is refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"architecture": "Z"}, "unknown architecture 'Z'"),
        ({"tag_format": "3d"}, "unknown tag format '3d'"),
        ({"tags_tokenized": "twice"}, "tags_tokenized is 'twice'; it must be 'alone' or 'inline'"),
        ({"tokens_per_view": 0}, "tokens_per_view is 0, but a view takes at least 1 slot"),
        ({"chat_template": {"default": "a", "rag": "b"}}, r"several templates \(default, rag\); give the text of one"),
        ({"max_length": 0}, "max_length is 0, but a row has at least 1 token"),
        ({"image_token": "<slot>"}, "the tokenizer has no token '<slot>' for image slots; add it with"),
    ],
)
def test_bad_settings(settings: dict[str, Any], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        processor(**settings)


def test_a_tokenizer_without_a_template_needs_one() -> None:
    tokenizer = llama_like()
    tokenizer.chat_template = None
    with pytest.raises(
        ValueError, match="neither ChatML's tokens nor a chat template of its own; give a chat_template"
    ):
        processor(tokenizer=tokenizer)
    made_by = processor(tokenizer=tokenizer, chat_template="{% for m in messages %}{{ m.content }}{% endfor %}")
    assert made_by.apply_chat_template([user("a"), assistant("b")]) == "ab"


@pytest.mark.parametrize("images", [None, [], [picture(), picture()]])
def test_every_placeholder_needs_its_picture(images: Any) -> None:
    with pytest.raises(ValueError, match=rf"there are {len(images or [])} pictures, but 1 times <image> in the text"):
        processor()(text="<image>\nWhat?", images=images)


def test_bad_calls() -> None:
    made_by = processor()
    with pytest.raises(ValueError, match="there is no text; a prompt is a string, with <image>"):
        made_by(images=picture())
    with pytest.raises(ValueError, match=r"holds the slot token <\|vision_pad\|> 2 times; write <image>"):
        made_by(text="<|vision_pad|><|vision_pad|>")
    with pytest.raises(ValueError, match="the prompt is empty"):
        made_by(text="")
    with pytest.raises(ValueError, match="images are given for 2 rows, but there are 1 prompts"):
        made_by(text="<image>", images=[[picture()], []])
    with pytest.raises(ValueError, match="padding is 'max_length'; rows are always padded to the longest"):
        made_by(text="a", padding="max_length")
    with pytest.raises(ValueError, match="return_tensors is 'np'; only 'pt' is made"):
        made_by(text="a", return_tensors="np")
    with pytest.raises(ValueError, match="padding_side is 'top'; it must be 'left' or 'right'"):
        made_by(text="a", padding_side="top")
    with pytest.raises(ValueError, match="max_tiles is 0, but an image has at least 1 tile"):
        made_by(text="<image>", images=picture(), max_tiles=0)
    with pytest.raises(ValueError, match=r"the row has 1 tokens, but only 0 fit"):
        made_by(text="a", max_length=0)
    with pytest.raises(ValueError, match="a supervised row holds its answers"):
        made_by.layout(MIXED[1], add_generation_prompt=True)
    with pytest.raises(ValueError, match="a batch needs at least one row"):
        made_by.encode([])
    with pytest.raises(ValueError, match="grids are given for 2 rows, but there are 1 conversations"):
        made_by.encode([MIXED[1]], grids=[[], []])
    with pytest.raises(ValueError, match="image part 0 has no picture; give it as"):
        made_by.encode([[{"role": "user", "content": [{"type": "image"}]}]])


def test_bad_pictures_are_refused_with_their_reason(tmp_path: Path) -> None:
    made_by = processor()
    for image, error in (
        ("https://host/a.png", "pictures are not fetched from URLs"),
        (b"hello", "no picture in any of the formats"),
        (tmp_path / "a.png", "does not exist"),
        (np.zeros((4, 4), np.float32), "the array is float32"),
    ):
        with pytest.raises(ImageError, match=error):
            made_by.encode([[{"role": "user", "content": [{"type": "image", "image": image}]}]])


def test_limits_of_a_prompt() -> None:
    made_by = processor(limits=Limits(images=2, tiles=8))
    with pytest.raises(ImageError, match="the prompt has 3 images, more than the limit 'images' of 2"):
        made_by.encode([[user("no picture", *[b"undecoded"] * 3)]])
    with pytest.raises(ImageError, match="the prompt has 12 tiles, more than the limit 'tiles' of 8"):
        made_by.encode([[user(picture(3, 2), picture(3, 2))]])
    with pytest.raises(ImageError, match="the prompt has 12 tiles, more than the limit 'tiles' of 8"):
        made_by.layout([user(picture(), picture())], [(3, 2), (3, 2)])


# Saving, and the rest of transformers --------------------------------------------------------------


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_saved_and_loaded_by_the_auto_classes(architecture: str, tmp_path: Path) -> None:
    settings = {
        "tag_format": "2d-grid",
        "thumbnail_tag": "<tile_global>",
        "tags_tokenized": "inline",
        "tokens_per_view": 4,
        "max_length": 321,
        "limits": Limits(pixels=10**6),
        "max_tiles": 4,
    }
    made_by = processor(architecture, **settings)
    made_by.encode(MIXED)
    made_by.save_pretrained(tmp_path)
    loaded = AutoProcessor.from_pretrained(tmp_path)
    assert type(loaded) is NVLMProcessor
    assert loaded.to_dict() == made_by.to_dict()
    assert loaded.chat_template == made_by.chat_template
    assert loaded.image_processor.limits == Limits(pixels=10**6)
    before, after = made_by.encode(MIXED), loaded.encode(MIXED)
    assert set(before) == set(after)
    assert all(torch.equal(before[name], after[name]) for name in before)
    images = AutoImageProcessor.from_pretrained(tmp_path)
    assert type(images) is NVLMImageProcessor
    assert images.to_dict() == made_by.image_processor.to_dict()


def test_a_setting_can_be_changed_while_loading(tmp_path: Path) -> None:
    processor("D").save_pretrained(tmp_path)
    loaded = AutoProcessor.from_pretrained(tmp_path, architecture="X", max_tiles=3)
    assert (loaded.architecture, loaded.image_processor.max_tiles) == ("X", 3)


def test_a_processor_travels_to_worker_processes() -> None:
    made_by = processor("X")
    copy = pickle.loads(pickle.dumps(made_by))
    assert torch.equal(copy.encode(MIXED)["input_ids"], made_by.encode(MIXED)["input_ids"])


def test_the_image_processor_alone(tmp_path: Path) -> None:
    images = NVLMImageProcessor(tile_size=TILE, max_tiles=4, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    images.save_pretrained(tmp_path)
    loaded = AutoImageProcessor.from_pretrained(tmp_path)
    batch = loaded([picture(2, 1, "white"), picture()])
    assert batch["grids"] == [(2, 1), (1, 1)]
    assert batch["pixel_values"].shape == (4, 3, TILE, TILE)
    assert (batch["pixel_values"][0] == 1).all()
    assert len(loaded(Image.new("RGB", (3 * TILE, 2 * TILE)), max_tiles=1)["pixel_values"]) == 1


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"tile_size": 0}, "tile_size is 0 and max_tiles is 6; both must be at least 1"),
        ({"max_tiles": 0}, "tile_size is 448 and max_tiles is 0"),
        ({"std": (1, 0, 1)}, "mean and std need three values each"),
        ({"mean": (0.5,)}, "mean and std need three values each"),
        ({"limits": {"frames": 0}}, "the limit 'frames' is 0"),
    ],
)
def test_bad_image_settings(settings: dict[str, Any], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        NVLMImageProcessor(**settings)


def test_misspelt_image_settings_are_refused() -> None:
    with pytest.raises(TypeError, match=r"NVLMImageProcessor has no settings \['max_tile'\]"):
        NVLMImageProcessor(max_tile=3)
