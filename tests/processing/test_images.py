import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageFile

from nvlm.processing import ImageError, Limits, load_image
from nvlm.processing.images import read_header

RED = (255, 0, 0)


def encoded(image: Image.Image, image_format: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def noise(width: int = 40, height: int = 30) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))


def pixel(image: Image.Image) -> Any:
    return image.getpixel((0, 0))


# Ways in -------------------------------------------------------------------------------------------


def test_every_way_in_gives_the_same_picture(tmp_path: Path) -> None:
    image = noise()
    data = encoded(image)
    path = tmp_path / "picture.png"
    path.write_bytes(data)
    for source in (
        image,
        data,
        bytearray(data),
        memoryview(data),
        path,
        str(path),
        np.asarray(image),
        Image.open(path),
    ):
        loaded = load_image(source)
        assert loaded.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(loaded), np.asarray(image))


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_formats(image_format: str) -> None:
    red = pixel(load_image(encoded(Image.new("RGB", (8, 8), RED), image_format)))
    np.testing.assert_allclose(red, RED, atol=3)


# Modes ---------------------------------------------------------------------------------------------


def palette(transparent: bool) -> Image.Image:
    image = Image.new("P", (2, 2), 1)
    image.putpalette([0, 0, 0, 255, 0, 0])
    if transparent:
        image.info["transparency"] = 1
    return image


MODES = {
    "1": (Image.new("1", (2, 2), 1), (255, 255, 255)),
    "L": (Image.new("L", (2, 2), 77), (77, 77, 77)),
    "LA": (Image.new("LA", (2, 2), (100, 51)), (224, 224, 224)),  # 100 · 0.2 + 255 · 0.8
    "P": (palette(False), RED),
    "P, transparent": (palette(True), (255, 255, 255)),
    "RGBA, clear": (Image.new("RGBA", (2, 2), (0, 0, 0, 0)), (255, 255, 255)),
    "RGBA, half": (Image.new("RGBA", (2, 2), (0, 0, 0, 51)), (204, 204, 204)),
    "RGBa": (Image.new("RGBA", (2, 2), (0, 0, 0, 51)).convert("RGBa"), (204, 204, 204)),
    "CMYK": (Image.new("CMYK", (2, 2), (0, 255, 255, 0)), RED),
    "YCbCr": (Image.new("RGB", (2, 2), (200, 200, 200)).convert("YCbCr"), (200, 200, 200)),
    "HSV": (Image.new("HSV", (2, 2), (0, 255, 255)), RED),
}


@pytest.mark.parametrize("name", MODES)
def test_modes_become_rgb(name: str) -> None:
    image, expected = MODES[name]
    loaded = load_image(image)
    assert loaded.mode == "RGB"
    assert pixel(loaded) == expected


@pytest.mark.parametrize(
    ("level", "expected"), [(0, 0), (65535, 255), (257 * 100, 100), (257 * 100 + 129, 101), (300, 1)]
)
def test_sixteen_bits_are_scaled_to_eight(level: int, expected: int) -> None:
    array = np.full((2, 2), level, np.uint16)
    for source in (
        array,
        Image.fromarray(array),
        encoded(Image.fromarray(array)),
        encoded(Image.fromarray(array), "TIFF"),
    ):
        assert pixel(load_image(source)) == (expected, expected, expected)


def test_a_colour_key_counts_as_transparency() -> None:
    image = Image.new("RGB", (2, 2), RED)
    assert pixel(load_image(encoded(image, transparency=RED))) == (255, 255, 255)


@pytest.mark.parametrize("channels", [(), (1,), (3,), (4,)])
def test_arrays(channels: tuple[int, ...]) -> None:
    assert pixel(load_image(np.full((2, 3, *channels), 255, np.uint8))) == (255, 255, 255)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_once(orientation: int) -> None:
    image = noise()
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    upright = load_image(encoded(image, exif=exif))
    expected = image.transpose(turns[orientation]) if orientation > 1 else image
    np.testing.assert_array_equal(np.asarray(upright), np.asarray(expected))
    np.testing.assert_array_equal(np.asarray(load_image(upright)), np.asarray(expected))


def test_damaged_exif_does_no_harm() -> None:
    assert load_image(encoded(Image.new("RGB", (8, 8)), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff")).size == (8, 8)


def test_the_main_picture_of_a_phones_multi_picture_file_is_taken() -> None:
    data = encoded(
        Image.new("RGB", (8, 8), RED), "MPO", save_all=True, append_images=[Image.new("RGB", (8, 8), "blue")]
    )
    assert Image.open(io.BytesIO(data)).n_frames == 2  # type: ignore[attr-defined]
    np.testing.assert_allclose(pixel(load_image(data)), RED, atol=3)


# Refusals ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("image_format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_animations_and_pages_are_refused(image_format: str) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "green", "blue")]
    data = encoded(frames[0], image_format, save_all=True, append_images=frames[1:])
    with pytest.raises(
        ImageError, match=r"3 frames, more than the limit 'frames' of 1; take one frame of the animation"
    ):
        load_image(data)
    np.testing.assert_allclose(pixel(load_image(data, Limits(frames=3))), RED, atol=3)


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF"])
def test_truncated_files_are_refused(image_format: str) -> None:
    data = encoded(noise(64, 64), image_format)
    with pytest.raises(ImageError, match=r"truncated or damaged|no picture in any of the formats"):
        load_image(data[: len(data) // 2])


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"%PDF-1.7\n" + bytes(100), b"<svg xmlns='http://www.w3.org/2000/svg'/>"]
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(
        ImageError, match=rf"the data \({len(data)} bytes\) is no picture in any of the formats PNG, JPEG"
    ):
        load_image(data)


def test_other_formats_are_refused() -> None:
    with pytest.raises(ImageError, match="no picture in any of the formats"):
        load_image(encoded(Image.new("RGB", (4, 4)), "PPM"))


@pytest.mark.parametrize(
    "url", ["http://host/a.png", "https://host/a.png", "file:///a.png", "data:image/png;base64,AA=="]
)
def test_urls_are_refused(url: str) -> None:
    with pytest.raises(ImageError, match=r"pictures are not fetched from URLs .* download it and give a path or bytes"):
        load_image(url)


def test_paths_that_are_no_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"nothing\.png' does not exist"):
        load_image(tmp_path / "nothing.png")
    with pytest.raises(ImageError, match="is not a file"):
        load_image(tmp_path)
    (tmp_path / "notes.png").write_text("notes")
    with pytest.raises(ImageError, match=r"notes\.png: the data \(5 bytes\) is no picture"):
        load_image(tmp_path / "notes.png")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.zeros((4, 4, 3), np.float32), "the array is float32, whose range is anyone's guess; scale it to uint8"),
        (np.zeros((3, 8, 9), np.uint8), "not uint8 of 3 x 8 x 9; are the channels first?"),
        (np.zeros((4, 4, 3), np.uint16), "not uint16 of 4 x 4 x 3"),
        (np.zeros((4, 4), np.int64), "not int64 of 4 x 4"),
        (np.zeros((0, 4, 3), np.uint8), "the array of shape 0 x 4 x 3 is empty"),
        (np.zeros(4, np.uint8), "not uint8 of 4;"),
        (Image.new("F", (2, 2)), "mode 'F', whose range is anyone's guess"),
        (Image.new("I", (2, 2)), "mode 'I', whose range is anyone's guess"),
        (Image.new("RGB", (0, 3)), "a picture of 0x3 pixels has nothing to show"),
        (None, "must be a Pillow image, a path, bytes or a numpy array, not builtins.NoneType"),
        (3, "not builtins.int"),
    ],
)
def test_other_sources_are_refused(source: Any, message: str) -> None:
    with pytest.raises(ImageError, match=message.replace("?", r"\?")):
        load_image(source)


# Limits --------------------------------------------------------------------------------------------


def test_limits_name_themselves_and_both_numbers(tmp_path: Path) -> None:
    data = encoded(noise())
    path = tmp_path / "picture.png"
    path.write_bytes(data)
    for source in (data, path):
        with pytest.raises(ImageError, match=rf"{len(data):,} bytes, more than the limit 'bytes' of 100"):
            load_image(source, Limits(bytes=100))
    for source in (data, noise(), np.asarray(noise()), np.zeros((30, 40), np.uint16)):
        with pytest.raises(ImageError, match="1,200 pixels, more than the limit 'pixels' of 1,199"):
            load_image(source, Limits(pixels=1199))
    assert load_image(data, Limits(bytes=len(data), pixels=1200)).size == (40, 30)


@pytest.mark.parametrize("guard", [700, 400])  # Pillow warns above its guard, and raises above twice as much
def test_pillows_own_guard_stays_on(guard: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", guard)
    with pytest.raises(ImageError, match=r"over Pillow's size guard|limit 'pixels'"):
        load_image(encoded(noise()))


def test_pillows_guard_holds_for_pictures_that_others_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 700)
    with pytest.raises(ImageError, match="1,200 pixels, more than the limit 'pixels' of 700"):
        load_image(noise())


@pytest.mark.parametrize(
    ("side", "message"),
    [(30_000, "over Pillow's size guard"), (9_000, "81,000,000 pixels, more than the limit 'pixels'")],
)
def test_a_bomb_is_refused_from_its_header(side: int, message: str) -> None:
    data = bytearray(encoded(Image.new("1", (8, 8))))
    data[16:24] = side.to_bytes(4, "big") * 2  # width and height in the PNG's first chunk, whose checksum follows
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    with pytest.raises(ImageError, match=message):
        load_image(data)


@pytest.mark.parametrize("value", [0, -1, 1.5, "many"])
def test_limits_are_whole_numbers(value: Any) -> None:
    with pytest.raises(ValueError, match=r"the limit 'frames' is .* must be a whole number of at least 1"):
        Limits(frames=value)


def test_a_header_is_read_without_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 8
    data = encoded(Image.new("RGB", (60, 40)), "JPEG", exif=exif)
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    assert read_header(data) == ("JPEG", 40, 60)
    with pytest.raises(ImageError, match="limit 'pixels'"):
        read_header(data, Limits(pixels=1000))
