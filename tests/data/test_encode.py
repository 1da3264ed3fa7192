"""Encoding the pictures of shards: each once, resumable to the byte, and as good to train on as pixels."""

from collections.abc import Sequence
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nvlm.data.blend import Blend, Folder
from nvlm.data.encode import Cuts, count_views, encode_folders
from nvlm.data.encode_costs import Spent, check_disk, report, sentences
from nvlm.data.loader import BlendedBatches, Loading
from nvlm.data.picture_features import FeatureWriter, PictureFeatures, features_key, weights_hash
from tests.data.shard_folders import break_pictures, prepared_folder
from tests.inference.tiny import make_tiny

TILES = (4, 1)

with_energon = pytest.mark.skipif(find_spec("megatron") is None, reason="the extra `train` is not installed")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    base = tmp_path_factory.mktemp("encode")
    return [prepared_folder(base, name, 12, pictures=count) for name, count in (("one", 1), ("two", 2), ("none", 0))]


class Encoding:
    """A tiny model's encoder that writes to a folder, and counts what it is given."""

    def __init__(self, folder: Path, dtype: str = "fp16", limits: Sequence[int] = TILES) -> None:
        self.model, self.processor = make_tiny("H")
        self.cuts = Cuts(self.processor.image_processor, limits)
        self.key = features_key(weights_hash(self.model.vision_model), -1, self.processor.image_processor)
        self.writer = FeatureWriter(folder, self.key, dtype, (64, 16))
        self.given = 0

    @torch.inference_mode()
    def encode(self, pixels: Tensor) -> Tensor:
        self.given += len(pixels)
        return self.model.get_image_features(pixels)

    def run(self, folders: Sequence[Path]) -> Spent:
        return encode_folders(folders, self.cuts, self.encode, self.writer, 8, 100)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_picture_is_encoded_once(folders, tmp_path):
    first = Encoding(tmp_path)
    pictures, views, missing = count_views(folders, first.cuts, first.writer)
    assert pictures == 12 + 24 and missing == views
    spent = first.run(folders)
    assert first.writer.pictures > 24, "the first of two pictures is that of the folder with one, and not cut again"
    assert spent.views == first.given == first.writer.views < views
    again = Encoding(tmp_path)
    assert count_views(folders, again.cuts, again.writer) == (pictures, views, 0)
    assert again.run(folders).views == again.given == 0


def test_what_other_folders_have_stored_is_no_room_for_these(folders, tmp_path):
    one, other = folders[:2]
    stored = Encoding(tmp_path)
    stored.run([one])
    before = stored.writer.views
    missing = count_views([other], stored.cuts, stored.writer).missing
    stored.run([other])
    assert missing == stored.writer.views - before > 0


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(folders, tmp_path, monkeypatch, error):
    whole = Encoding(tmp_path / "whole")
    whole.run(folders)
    cut = Encoding(tmp_path / "cut")

    calls = iter(range(3))

    def some(pixels: Tensor) -> Tensor:
        if next(calls, None) is None:
            raise error
        return whole.encode(pixels)

    monkeypatch.setattr(cut, "encode", some)
    with pytest.raises((KeyboardInterrupt, OSError), match=r"disk is full; \d+ pictures are kept|^$"):
        cut.run(folders)
    stored = cut.writer.views
    again = Encoding(tmp_path / "cut")
    again.run(folders)
    assert 0 < stored < again.writer.views and again.given == again.writer.views - stored
    assert files(tmp_path / "cut") == files(tmp_path / "whole")


@with_energon
@pytest.mark.parametrize("architecture", ["D", "X", "H"])
def test_training_on_features_equals_training_on_pixels(folders, tmp_path, architecture):
    """Samples with two pictures get one tile each where a row is short: lower limits were encoded as well."""
    encoding = Encoding(tmp_path)
    encoding.run(folders)
    model, processor = make_tiny(architecture)
    model.vision_model.load_state_dict(encoding.model.vision_model.state_dict())
    stored = PictureFeatures(tmp_path, features_key(weights_hash(model.vision_model), -1, processor.image_processor))
    blend = Blend(tuple(Folder(str(folder)) for folder in folders))
    loading = Loading(tokens=200, lanes=1, lookahead=8, shuffle=8, max_tiles=TILES[0], workers=0)
    pixels = BlendedBatches(blend, processor, loading).open(0)
    features = BlendedBatches(blend, processor, loading, features=stored).open(0)
    seen = 0
    for _ in range(6):
        one, other = next(pixels), next(features)
        assert one.pop("accounting") == other.pop("accounting")
        assert ("pixel_values" in one) == ("image_features" in other)
        if "image_features" in other:
            exact = model.get_image_features(one["pixel_values"])
            torch.testing.assert_close(other["image_features"].float(), exact, rtol=1e-3, atol=1e-3)
            seen += len(exact)
        assert model(**one).loss.item() == pytest.approx(model(**other).loss.item(), rel=1e-3)
    assert seen


@with_energon
def test_pictures_that_cannot_be_decoded_stay_out_of_features_as_out_of_pixels(tmp_path):
    folder = prepared_folder(tmp_path, "photos", 20, pictures=1)
    break_pictures(folder)
    encoding = Encoding(tmp_path / "features")
    encoding.run([folder])
    assert encoding.writer.bad and encoding.writer.pictures == 12
    loading = Loading(tokens=200, lookahead=4, shuffle=4, max_tiles=4, workers=0, max_bad_share=1.0)
    stored = PictureFeatures(tmp_path / "features", encoding.key)
    blend = Blend((Folder(str(folder)),))
    lanes = [BlendedBatches(blend, encoding.processor, loading, features=each).open(0) for each in (None, stored)]
    for _ in range(6):
        pixels, features = map(next, lanes)
        assert pixels["accounting"] == features["accounting"]


@with_energon
def test_training_that_wants_other_tiles_is_told(folders, tmp_path):
    encoding = Encoding(tmp_path, limits=(1,))
    encoding.run(folders)
    loading = Loading(tokens=400, lookahead=4, shuffle=4, max_tiles=4, workers=0)
    stored = PictureFeatures(tmp_path, encoding.key)
    lane = BlendedBatches(Blend((Folder(str(folders[0])),)), encoding.processor, loading, features=stored).open(0)
    with pytest.raises(ValueError, match=r"no features of a picture cut into \d x \d tiles; .* with --max-tiles as in"):
        list(islice(iter(lambda: next(lane), None), 5))


def test_too_small_a_disk_is_seen_before_the_start(tmp_path):
    check_disk(tmp_path, 1000)
    with pytest.raises(ValueError, match=r"up to 1,000,000\.0 GB are needed in .* GB are free; .*--dtype fp8.*--force"):
        check_disk(tmp_path, 10**15)


def test_the_report_says_after_how_many_passes_storing_pays():
    spent = Spent(views=100, decode=1.0, encode=3.0, write=0.5)
    numbers = report(spent, 0.01, "fp16")
    assert numbers["pays_after_passes"] == pytest.approx((0.04 + 0.005) / (0.04 - 0.01))
    assert sentences(numbers) == [
        "a view takes 10.00 ms to decode, 30.00 ms to encode, 5.00 ms to write, 10.00 ms to read "
        "(measured on 100 views)",
        "storing pays from 1.50 passes over the pictures on",
    ]
    slow = sentences(report(spent, 0.05, "fp8"))
    assert slow[1] == "reading takes no less time than encoding, so storing does not pay here"


def test_the_error_of_eight_bits_is_measured(folders, tmp_path):
    spent = Encoding(tmp_path, "fp8").run(folders)
    found = report(spent, 0.001, "fp8")["fp8_against_fp16"]
    assert 0.01 < found["relative_rms"] < 0.05 and 0.998 < found["cosine"] < 1
    assert "fp8 against fp16: relative RMS error" in sentences(report(spent, 0.001, "fp8"))[-1]
