"""Stored features: what is read is what was written, whatever stopped the writer, and never another encoder's."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from nvlm.data.feature_codecs import CODECS, errors
from nvlm.data.features import FeatureStore
from nvlm.data.picture_features import FeatureWriter, PictureFeatures, features_key, picture_id, weights_hash
from nvlm.processing import NVLMImageProcessor
from nvlm.processing.images import ImageError
from nvlm.processing.tiling import Grid

KEY = {"encoder": "abc", "tile_size": 16}
SHAPE = (4, 6)
ONE, TWO = Grid(1, 1), Grid(2, 1)


def features(views: int, seed: int = 0) -> Tensor:
    return torch.randn(views, *SHAPE, generator=torch.Generator().manual_seed(seed))


def writer(folder: Path, dtype: str = "fp16", **changes: int) -> FeatureWriter:
    return FeatureWriter(folder, KEY, dtype, SHAPE, **changes)


def put(found: FeatureWriter, *numbers: int) -> None:
    """Pictures named by their number, with number % 3 + 1 views."""
    found.add([picture_id(b"%d" % each, ONE) for each in numbers], [features(each % 3 + 1, each) for each in numbers])


# One stream ---------------------------------------------------------------------------------------


def test_a_stream_of_pictures_is_read_as_it_was_written(tmp_path: Path):
    store = FeatureStore(tmp_path, KEY, SHAPE)
    store.append([features(2, 0), features(1, 1)])
    store.append([features(3, 2)])
    for again in (store, FeatureStore(tmp_path, KEY, SHAPE), FeatureStore(tmp_path, KEY, SHAPE, write=False)):
        assert (len(again), again.views) == (3, 6)
        assert torch.equal(again.read(1), features(1, 1).half().float()) and again.read(1).dtype == torch.float32
        assert again.read(2, dtype=None).dtype == torch.float16


@pytest.mark.parametrize(("file", "cut"), [("features.f16", 1), ("ends.i64", 3)])
def test_what_a_writer_left_unfinished_is_cut_off(tmp_path: Path, file: str, cut: int):
    store = FeatureStore(tmp_path, KEY, SHAPE)
    store.append([features(2, 0), features(1, 1)])
    path = tmp_path / file
    path.write_bytes(path.read_bytes()[:-cut])
    again = FeatureStore(tmp_path, KEY, SHAPE)
    assert len(again) == 1
    again.append([features(3, 7)])
    assert torch.equal(again.read(0), features(2, 0).half().float())
    assert torch.equal(again.read(1), features(3, 7).half().float())


def test_a_store_of_another_key_is_refused(tmp_path: Path):
    FeatureStore(tmp_path, KEY, SHAPE)
    with pytest.raises(ValueError, match=r"made with another encoder \('abc' there, 'xyz' now\); remove the folder"):
        FeatureStore(tmp_path, KEY | {"encoder": "xyz"}, SHAPE)
    with pytest.raises(ValueError, match="holds no features"):
        FeatureStore(tmp_path / "nowhere", KEY, SHAPE, write=False)


# How numbers are written --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "most"),
    [("fp16", 2**-11), ("bf16", 2**-8), ("fp8", 2**-4)],  # half a step of the mantissa
)
def test_numbers_are_off_by_no_more_than_their_bits_allow(name: str, most: float):
    codec, exact = CODECS[name], features(50) * torch.logspace(-1, 3, SHAPE[0])[:, None]
    data = codec.encode(exact)
    assert data.dtype == torch.uint8 and data.shape == (50, codec.size(*SHAPE))
    found = codec.decode(data, *SHAPE)
    assert found.dtype == codec.dtype
    large = exact.abs() > exact.abs().amax(-1, keepdim=True) / 100
    assert ((found.float() - exact).abs() / exact.abs())[large].max() <= most * 1.1
    relative, cosine = errors(found, exact)
    assert 0 < relative < most and 1 - most**2 < cosine < 1


def test_an_all_zero_patch_stays_zero_in_eight_bits():
    zero = torch.zeros(1, *SHAPE)
    assert torch.equal(CODECS["fp8"].decode(CODECS["fp8"].encode(zero), *SHAPE).float(), zero)


@pytest.mark.parametrize(("name", "number"), [("fp16", 1e5), ("fp8", float("nan")), ("bf16", float("inf"))])
def test_numbers_that_cannot_be_held_are_refused(name: str, number: float):
    with pytest.raises(ValueError, match=r"cannot hold; store them as bf16|no finite numbers|cannot hold"):
        CODECS[name].encode(torch.full((1, *SHAPE), number))


# Any pictures -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["fp16", "bf16", "fp8"])
def test_pictures_are_found_by_their_bytes_and_their_grid(tmp_path: Path, dtype: str):
    made = writer(tmp_path, dtype, part_bytes=500)
    for number in range(40):
        put(made, number)
    made.add([picture_id(b"7", TWO)], [features(3, 99)])
    assert len(list(tmp_path.glob("part-*"))) > 2
    found = PictureFeatures(tmp_path, KEY)
    assert len(found) == made.pictures == 41
    for number in range(40):
        wanted = made.decoded(features(number % 3 + 1, number))
        assert torch.equal(found.read(b"%d" % number, ONE), wanted)
    assert torch.equal(found.read(b"7", TWO), made.decoded(features(3, 99)))
    with pytest.raises(ValueError, match="no features of a picture cut into 2 x 1 tiles; run `nvlm data encode` again"):
        found.read(b"8", TWO)


def test_an_interrupted_writer_goes_on_in_all_its_parts(tmp_path: Path):
    made = writer(tmp_path, part_bytes=300)
    put(made, 0, 1, 2, 3)
    put(made, 4, 5)
    ids = sorted(tmp_path.glob("part-*/pictures.ids"))
    ids[-1].write_bytes(ids[-1].read_bytes()[:-3])  # killed between the features and the ids
    again = writer(tmp_path, part_bytes=300)
    assert (again.pictures, again.views) == (5, 1 + 2 + 3 + 1 + 2)
    assert picture_id(b"4", ONE) in again and picture_id(b"5", ONE) not in again
    put(again, 5)
    found = PictureFeatures(tmp_path, KEY)
    assert torch.equal(found.read(b"5", ONE), features(3, 5).half()) and len(found) == 6


def test_pictures_that_cannot_be_decoded_are_remembered(tmp_path: Path):
    made = writer(tmp_path)
    made.put_unusable(picture_id(b"bad", ONE), "it is damaged")
    with (tmp_path / "unusable.jsonl").open("a") as file:
        file.write('{"picture": "00')  # killed in the middle of a line
    again = writer(tmp_path)
    assert again.bad == 1 and picture_id(b"bad", ONE) in again
    again.put_unusable(picture_id(b"worse", ONE), "it is more damaged")
    with pytest.raises(ImageError, match="it is more damaged"):
        PictureFeatures(tmp_path, KEY).read(b"worse", ONE)


def test_stale_features_are_refused(tmp_path: Path):
    writer(tmp_path)
    with pytest.raises(ValueError, match=r"another encoder \('abc' there, 'new' now\)"):
        PictureFeatures(tmp_path, KEY | {"encoder": "new"})
    with pytest.raises(ValueError, match=r"another dtype \('fp16' there, 'fp8' now\)"):
        writer(tmp_path, "fp8")
    with pytest.raises(ValueError, match="holds no features; is it a folder that `nvlm data encode` wrote"):
        PictureFeatures(tmp_path / "nowhere", KEY)


def test_the_key_knows_weights_and_pixels_and_not_the_dtype_of_the_weights():
    torch.manual_seed(0)
    encoder = nn.Linear(3, 3).to(torch.bfloat16)
    images = NVLMImageProcessor(16)
    key = features_key(weights_hash(encoder), -1, images)
    assert json.loads(json.dumps(key)) == key == features_key(weights_hash(encoder.float()), -1, images)
    assert key != features_key(weights_hash(encoder), -2, images) and key != features_key(
        weights_hash(encoder), -1, NVLMImageProcessor(32)
    )
    assert weights_hash(nn.Linear(3, 3)) != key["encoder"]
