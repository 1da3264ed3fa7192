import io

import numpy as np
import pytest
from PIL import Image

from nvlm.data.contamination import COMMON, RUN, SAME, Looks, Runs, picture_hash, run_hashes, words
from nvlm.data.synthetic.splits import generator
from nvlm.data.synthetic.tasks import PICTURE_TASKS
from tests.data.builders import TEXT, photograph


def runs_of(**items: str) -> Runs:
    runs = Runs()
    for name, text in items.items():
        runs.add(name, [text])
    return runs


def test_words_have_no_case_and_no_punctuation() -> None:
    assert words("The CAT's – “hat”, 3.5 Größe") == ["the", "cat", "s", "hat", "3", "5", "grösse"]
    assert words("合計はABC円") == ["合", "計", "は", "abc", "円"]


def test_a_run_has_the_same_hash_wherever_it_stands() -> None:
    found = words(TEXT)
    hashes = run_hashes(found)
    assert len(hashes) == 30 - RUN + 1 == len(set(hashes.tolist()))
    assert run_hashes(found[4 : 4 + RUN])[0] == hashes[4]
    assert len(run_hashes(found[: RUN - 1])) == 0


def test_the_order_of_words_counts() -> None:
    found = words(TEXT)[:RUN]
    assert run_hashes(found)[0] != run_hashes(found[::-1])[0]


def test_thirteen_shared_words_are_found_and_twelve_are_not() -> None:
    runs = runs_of(first=TEXT)
    shared = runs.find("Please tell: " + ", ".join(words(TEXT)[5 : 5 + RUN]).upper() + " and so on.")
    assert shared is not None
    assert (shared.item, shared.words) == ("first", " ".join(words(TEXT)[5 : 5 + RUN]))
    assert shared.share == pytest.approx(1 / 6)  # 18 words have 6 runs
    assert runs.find(" ".join(words(TEXT)[5 : 4 + RUN])) is None
    assert runs.find("x " * 40) is None


def test_the_whole_text_is_shared_whole() -> None:
    shared = runs_of(first=TEXT).find(TEXT)
    assert shared is not None and shared.share == 1


def test_formulas_of_many_items_count_for_nothing() -> None:
    few = {f"item{number}": f"{TEXT} ending {number}" for number in range(COMMON)}
    assert runs_of(**few).find(TEXT) is not None
    assert runs_of(**few, more=TEXT).find(TEXT) is None


def test_a_run_that_one_item_repeats_is_no_formula() -> None:
    assert runs_of(first=" ".join([TEXT] * 20)).find(TEXT) is not None


def test_short_items_are_counted_as_untested() -> None:
    runs = runs_of(long=TEXT, short="What is the total?")
    assert runs.untested == 1
    assert runs.find("What is the total?") is None


def test_nothing_to_compare_with() -> None:
    assert Runs().find(TEXT) is None
    assert Looks().find(drawn(0)) is None


def drawn(number: int) -> Image.Image:
    """A synthetic task's picture."""
    names = list(PICTURE_TASKS)
    rng = generator("train", "contamination", number)
    drawing = PICTURE_TASKS[names[number % len(names)]][0](rng, "train").drawing
    assert drawing is not None
    return drawing.image


def saved(image: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)


@pytest.mark.parametrize(
    "change",
    [
        lambda image: saved(image, 40),
        lambda image: image.resize((image.width * 2, image.height * 2), Image.Resampling.BICUBIC),
        lambda image: image.resize((image.width * 2 // 3, image.height * 2 // 3), Image.Resampling.LANCZOS),
        lambda image: image.convert("L"),
        lambda image: image.point(lambda level: level * 0.8),
    ],
    ids=["jpeg", "larger", "smaller", "grey", "darker"],
)
def test_a_picture_is_recognised_after_small_changes(change) -> None:
    looks = Looks()
    for number in range(20):
        looks.add(str(number), photograph(number))
    for number in range(20):
        found = looks.find(change(photograph(number)))
        assert found is not None and found.item == str(number) and found.distance <= SAME


def test_different_pictures_are_different() -> None:
    """Also tables, pages and diagrams, which are all mostly white."""
    pictures = [drawn(number) for number in range(88)] + [photograph(number) for number in range(20)]
    hashes = [picture_hash(each) for each in pictures]
    assert all(each is not None for each in hashes)
    bits = np.stack([each for each in hashes if each is not None])
    apart = np.bitwise_count(bits[:, None] ^ bits[None]).sum(axis=2)
    apart[np.diag_indices(len(apart))] = 256
    assert apart.min() > SAME


def test_pictures_of_one_colour_have_no_look() -> None:
    assert picture_hash(Image.new("RGB", (50, 50), "white")) is None
    looks = Looks()
    looks.add("white", Image.new("RGB", (50, 50), "white"))
    assert looks.names == [] and looks.find(Image.new("RGB", (50, 50), "white")) is None


def test_the_frequencies_are_those_of_the_cosine_transform() -> None:
    """Against a picture that is one cosine: only its own frequency is above the median by far."""
    steps = np.arange(64)
    wave = 127.5 + 100 * np.cos(np.pi * (2 * steps + 1) * 3 / 128)[None, :].repeat(64, axis=0)
    found = picture_hash(Image.fromarray(wave.round().astype(np.uint8)))
    assert found is not None
    bits = np.unpackbits(found.view(np.uint8)).reshape(16, 16)
    assert bits[0, 3] == 1 and bits[0, 0] == 0
