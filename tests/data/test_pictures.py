import io
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from nvlm.data import pictures
from nvlm.data.pictures import check_picture
from nvlm.processing.images import ImageError, Limits


def encoded(format: str, size: tuple[int, int] = (60, 40), **options: object) -> bytes:
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).line((0, 0, *size), fill="red", width=3)
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("format", "ending"),
    [("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp"), ("GIF", "gif"), ("BMP", "bmp"), ("TIFF", "tiff")],
)
def test_every_format_is_kept_byte_for_byte(format: str, ending: str, tmp_path: Path) -> None:
    data = encoded(format)
    (tmp_path / "named.wrongly").write_bytes(data)
    for source in (data, tmp_path / "named.wrongly"):
        assert check_picture(source) == (data, ending, 60, 40)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_a_whole_file_is_not_decoded(format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "load_image", lambda *_: pytest.fail("decoded"))
    check_picture(encoded(format))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_file_that_was_cut_is_refused(format: str) -> None:
    data = encoded(format, (200, 200))
    with pytest.raises(ImageError):
        check_picture(data[: len(data) * 2 // 3])


def test_a_few_bytes_behind_the_end_are_no_damage() -> None:
    assert check_picture(encoded("JPEG") + b"\0" * 100).ending == "jpg"


def test_the_size_is_that_of_the_upright_picture() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert check_picture(encoded("JPEG", exif=exif))[2:] == (40, 60)
    assert check_picture(encoded("PNG", exif=exif))[2:] == (40, 60)


def test_no_picture() -> None:
    with pytest.raises(ImageError, match="no picture in any of the formats"):
        check_picture(b"<html>not found</html>")


def test_limits_hold_before_anything_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(encoded("PNG"))
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("read"))
    with pytest.raises(ImageError, match="more than the limit 'bytes' of 10"):
        check_picture(path, Limits(bytes=10))


def test_too_many_pixels() -> None:
    with pytest.raises(ImageError, match="limit 'pixels'"):
        check_picture(encoded("PNG"), Limits(pixels=100))


def test_an_animation() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError, match="2 frames"):
        check_picture(file.getvalue())
