"""The model card's calls: its example as it stands there, and prompts that are the processor's own."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoTokenizer, GenerationConfig, PreTrainedTokenizerBase

import nvlm
from nvlm.inference import ask, chat, load, load_image
from nvlm.inference.ask import ask_batch
from nvlm.processing import ImageError, NVLMProcessor
from tests.inference.tiny import TILE_SIZE, Tiny, make_tiny

WIDE = Image.linear_gradient("L").resize((384, 256)).convert("RGB")
SMALL = Image.new("RGB", (64, 64), "red")
SHORT = dict(max_new_tokens=6, do_sample=False)

CARD = """
import json, sys
import torch
import nvlm
from nvlm import load_image
from transformers import AutoModel, AutoTokenizer

path, picture, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
device_map = {"vision_model": "cpu", "mlp1": "cpu", "language_model.model.tok_embeddings": "cpu",
              "language_model.model.embed_tokens": "cpu", "language_model.output": "cpu",
              "language_model.model.norm": "cpu", "language_model.model.rotary_emb": "cpu",
              "language_model.lm_head": "cpu"}
device_map |= {f"language_model.model.layers.{number}": "cpu" for number in range(81)}
model = AutoModel.from_pretrained(
    path,
    torch_dtype=torch.bfloat16,
    low_cpu_mem_usage=True,
    use_flash_attn=False,
    trust_remote_code=True,
    device_map=device_map).eval()

tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=True, use_fast=False)
generation_config = dict(max_new_tokens=6, do_sample=False)

# pure-text conversation
question = "Hello, who are you?"
hello, history = model.chat(tokenizer, None, question, generation_config, history=None, return_history=True)
question = "Can you tell me a story?"
story, history = model.chat(tokenizer, None, question, generation_config, history=history, return_history=True)

# single-image single-round conversation
pixel_values = load_image(picture, size, max_num=6).to(torch.bfloat16)
question = "<image>\\nPlease describe the image shortly."
short = model.chat(tokenizer, pixel_values, question, generation_config)

# single-image multi-round conversation
question = "<image>\\nPlease describe the image in detail."
detail, seen = model.chat(tokenizer, pixel_values, question, generation_config, history=None, return_history=True)
question = "Please write a poem according to the image."
poem, seen = model.chat(tokenizer, pixel_values, question, generation_config, history=seen, return_history=True)
json.dump([hello, story, short, detail, poem, history, seen], sys.stdout)
"""


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    WIDE.save(path)
    return path


def test_the_cards_example_runs_as_it_stands_there(published: Path, picture: Path) -> None:
    """A fresh interpreter, the card's code, one import more: its device map, its arguments, its four conversations."""
    done = subprocess.run(
        [sys.executable, "-c", CARD, str(published), str(picture), "112"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    hello, story, short, detail, poem, history, seen = json.loads(done.stdout)
    model, processor = load(published, dtype="bf16")
    describe = "Please describe the image shortly."
    assert hello == ask(model, processor, "Hello, who are you?", max_new_tokens=6)
    assert short == ask(model, processor, describe, WIDE, max_new_tokens=6)
    assert history == [["Hello, who are you?", hello], ["Can you tell me a story?", story]]
    assert [asked for asked, _ in seen] == [
        "<image>\nPlease describe the image in detail.",
        "Please write a poem according to the image.",
    ]
    assert [answer for _, answer in seen] == [detail, poem]


@pytest.fixture(params=["D", "X", "H", "published"])
def loaded(request: pytest.FixtureRequest, tiny_folders: dict[str, Path], published: Path) -> Tiny:
    return load(published if request.param == "published" else tiny_folders[request.param])


def read(
    loaded: Tiny, pictures: Sequence[Image.Image], question: str, monkeypatch: pytest.MonkeyPatch, **options: Any
) -> tuple[dict[str, Any], str]:
    """What `chat` hands to `generate` for these pictures, and its answer; with a tokenizer of the caller's own."""
    model, processor = loaded
    size = processor.image_processor.tile_size
    views = [load_image(picture, size, max_num=6) for picture in pictures]
    tokenizer = AutoTokenizer.from_pretrained(model.name_or_path)
    given: dict[str, Any] = {}
    generate = model.generate
    with monkeypatch.context() as patch:
        patch.setattr(model, "generate", lambda **inputs: (given.update(inputs), generate(**inputs))[1])
        answer = model.chat(
            tokenizer,
            torch.cat(views) if views else None,
            question,
            SHORT,
            num_patches_list=[len(own) for own in views] or None,
            **options,
        )
    return given, answer


def prompt(processor: NVLMProcessor, messages: list[dict[str, Any]]) -> dict[str, Any]:
    return dict(processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=True))


def user(*parts: str | Image.Image) -> dict[str, Any]:
    content = [
        {"type": "text", "text": part} if isinstance(part, str) else {"type": "image", "image": part} for part in parts
    ]
    return {"role": "user", "content": content}


@pytest.mark.parametrize(
    ("pictures", "question", "message"),
    [
        ([], "Hello there", user("Hello there")),
        ([], "<|im_end|> is no end", user("<|im_end|> is no end")),
        ([SMALL], "<image>\nWhat is red?", user(SMALL, "What is red?")),
        ([WIDE], "What is grey?", user(WIDE, "What is grey?")),
        ([WIDE, SMALL], "First: <image>\nsecond: <image>\nWhich?", user("First: ", WIDE, "second: ", SMALL, "Which?")),
        ([SMALL], "Look at this: <image>", user("Look at this: ", SMALL)),
    ],
)
def test_prompts_are_the_processors(
    pictures: list[Image.Image],
    question: str,
    message: dict[str, Any],
    loaded: Tiny,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given, answer = read(loaded, pictures, question, monkeypatch)
    expected = prompt(loaded[1], [message])
    assert expected.keys() <= given.keys()
    for name, tensor in expected.items():
        assert torch.equal(given[name], tensor), name
    if not any(part["type"] == "image" for part in message["content"][:1]) and pictures:
        return
    words = message["content"][-1]["text"]
    assert answer == ask_batch(*loaded, [(words, pictures)], max_new_tokens=6)[0]


def test_a_second_turn_is_the_processors(loaded: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    history = [("<image>\nWhat is red?", "the box")]
    given, answer = read(loaded, [WIDE], "And grey?", monkeypatch, history=history, return_history=True)
    answered = {"role": "assistant", "content": [{"type": "text", "text": "the box"}]}
    expected = prompt(loaded[1], [user(WIDE, "What is red?"), answered, user("And grey?")])
    for name, tensor in expected.items():
        assert torch.equal(given[name], tensor), name
    assert history == [("<image>\nWhat is red?", "the box")]
    assert answer[1] == [*history, ("And grey?", answer[0])]


def test_a_second_turn_may_bring_a_second_picture(loaded: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    history = [("<image>\nWhat is red?", "the box")]
    given, _ = read(loaded, [SMALL, WIDE], "<image>\nAnd here?", monkeypatch, history=history)
    answered = {"role": "assistant", "content": "the box"}
    expected = prompt(loaded[1], [user(SMALL, "What is red?"), answered, user(WIDE, "And here?")])
    for name, tensor in expected.items():
        assert torch.equal(given[name], tensor), name


def test_the_question_in_the_history_says_where_the_picture_stood(published: Path) -> None:
    model, processor = load(published)
    views = load_image(SMALL, processor.image_processor.tile_size)
    _, history = model.chat(processor, views, "What is red?", SHORT, return_history=True)
    assert history[0][0] == "<image>\nWhat is red?"
    again, history = model.chat(processor, views, "Sure?", SHORT, history=history, return_history=True)
    assert history[1] == ("Sure?", again)


def test_what_ends_an_answer(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The turn's end, as the published code has it, and the text's, which the checkpoint names as well."""
    loaded = load(published)
    vocabulary = loaded[1].tokenizer
    wanted = sorted(vocabulary.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"]))
    given, _ = read(loaded, [], "Hello", monkeypatch)
    assert given["eos_token_id"] == wanted
    assert given["max_new_tokens"] == 6


def test_settings_come_as_a_dictionary_or_an_object(published: Path) -> None:
    model, processor = load(published)
    answer = model.chat(processor, None, "Hello", SHORT)
    assert model.chat(processor, None, "Hello", GenerationConfig(**SHORT)) == answer
    assert dict(max_new_tokens=6, do_sample=False) == SHORT
    with pytest.raises(ValueError, match="max_length 30, which counts the prompt; give max_new_tokens"):
        model.chat(processor, None, "Hello", dict(max_length=30))


def test_what_verbose_prints(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, processor = load(published)
    views = load_image(WIDE, processor.image_processor.tile_size, max_num=6)
    answer = model.chat(processor, views, "What?", SHORT, verbose=True, IMG_START_TOKEN="[", IMG_END_TOKEN="]")
    printed = capsys.readouterr().out
    assert printed == f"<|im_start|>user\n[7 views]\nWhat?<|im_end|>\n<|im_start|>assistant\n {answer}\n"


def test_a_model_without_a_folder_takes_its_processor() -> None:
    model, processor = make_tiny("H")
    views = load_image(WIDE, TILE_SIZE, max_num=6)
    assert model.chat(processor, views, "Read.", SHORT) == ask(model, processor, "Read.", WIDE, max_new_tokens=6)
    with pytest.raises(ValueError, match=r"was not loaded from a folder.* processor in place of its tokenizer"):
        model.chat(processor.tokenizer, views, "Read.", SHORT)


def test_the_method_is_the_function() -> None:
    assert nvlm.NVLMForConditionalGeneration.chat is chat
    assert nvlm.NVLMForConditionalGeneration.chat is chat  # and stays it once it has been looked up


def two(views: int) -> torch.Tensor:
    return torch.zeros(views, 3, TILE_SIZE, TILE_SIZE)


@pytest.mark.parametrize(
    ("views", "question", "options", "message"),
    [
        (None, "<image>\nWhat?", {}, r"names 1 pictures \(<image>\), but pixel_values and num_patches_list hold 0"),
        (None, "What?", {"history": [("<image>\nRed?", "yes")]}, "names 1 pictures .* hold 0; each call takes"),
        (3, "<image> <image>", {}, "names 2 pictures .* hold 1"),
        (3, "What?", {"num_patches_list": [2, 1]}, "names 1 pictures .* hold 2"),
        (3, "What?", {"num_patches_list": [2]}, r"num_patches_list is \[2\], 2 views together, but .* holds 3"),
        (3, "What?", {"num_patches_list": [3, 0]}, r"num_patches_list is \[3, 0\]"),
        (1, "What?", {"IMG_CONTEXT_TOKEN": "<|im_end|>"}, "IMG_CONTEXT_TOKEN '<|im_end|>' has the id"),
        (None, "What?", {"generation_config": dict(max_new_tokens=1000)}, "do.* not fit|have 512 tokens|fit into"),
    ],
)
def test_what_does_not_go_together(
    views: int | None, question: str, options: dict[str, Any], message: str, tiny_models: dict[str, Tiny]
) -> None:
    model, processor = tiny_models["D"]
    pixels = None if views is None else two(views)
    with pytest.raises(ValueError, match=message):
        model.chat(processor, pixels, question, **{"generation_config": SHORT} | options)


def test_tags_that_name_rows_and_columns_need_the_grid(tiny_models: dict[str, Tiny]) -> None:
    model, processor = tiny_models["D"]
    square = NVLMProcessor(
        processor.image_processor, processor.tokenizer, tokens_per_view=processor.tokens_per_view, tag_format="2d-grid"
    )
    with pytest.raises(ValueError, match=r"tags \(2d-grid\) name a tile's row and column.*use nvlm.ask"):
        model.chat(square, two(3), "What?", SHORT)
    assert isinstance(model.chat(square, two(1), "What?", SHORT), str)


def test_a_picture_is_what_the_processor_makes_of_it(picture: Path, tiny_models: dict[str, Tiny]) -> None:
    _, processor = tiny_models["D"]
    views = load_image(picture, TILE_SIZE, max_num=6)
    assert (views.dtype, views.shape) == (torch.float32, (7, 3, TILE_SIZE, TILE_SIZE))
    assert torch.equal(views, prompt(processor, [user(WIDE, "?")])["pixel_values"])
    assert load_image(WIDE.resize((1200, 900))).shape == (13, 3, 448, 448)
    assert nvlm.load_image(SMALL).shape == (1, 3, 448, 448)
    with pytest.raises(ImageError, match="does not exist"):
        load_image("nothing.png")


def card_views(image: Image.Image, size: int, most: int) -> torch.Tensor:
    """The card's `dynamic_preprocess` and transform, written once more: resize, crop, thumbnail, normalise."""
    wide, high = image.size
    grids = sorted(
        {(i, j) for i in range(1, most + 1) for j in range(1, most + 1) if i * j <= most}, key=lambda g: g[0] * g[1]
    )
    best, best_difference = (1, 1), float("inf")
    for grid in grids:
        difference = abs(wide / high - grid[0] / grid[1])
        if difference < best_difference or (
            difference == best_difference and wide * high > 0.5 * size * size * grid[0] * grid[1]
        ):
            best, best_difference = grid, difference
    resized = image.resize((size * best[0], size * best[1]), Image.Resampling.BICUBIC)
    corners = [(size * i, size * j) for j in range(best[1]) for i in range(best[0])]
    views = [resized.crop((x, y, x + size, y + size)) for x, y in corners]
    if len(views) > 1:
        views.append(image.resize((size, size), Image.Resampling.BICUBIC))
    pixels = torch.stack([torch.from_numpy(np.array(view)).permute(2, 0, 1).float().div(255) for view in views])
    mean, std = (torch.tensor(values)[None, :, None, None] for values in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    return (pixels - mean) / std


@pytest.mark.parametrize("size", [(300, 200), (97, 401), (640, 640), (50, 50), (1000, 120)])
def test_a_picture_is_what_the_cards_code_makes_of_it(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(size[0]).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    for most in (6, 12):
        assert torch.equal(load_image(image, 56, most), card_views(image, 56, most))


def test_a_tokenizer_of_another_object_makes_the_same_prompts(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load(published)
    first: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(published)
    answers = [loaded[0].chat(tokenizer, None, "Hello", SHORT) for tokenizer in (first, first, loaded[1].tokenizer)]
    assert len(set(answers)) == 1
