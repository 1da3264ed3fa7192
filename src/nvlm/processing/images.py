"""One picture, from wherever it comes, as an RGB Pillow image – or an error that says why not.

Every way in passes here: files, bytes, arrays and Pillow images, with the same limits and the same conversion to RGB.
"""

import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

ImageSource: TypeAlias = Image.Image | str | os.PathLike[str] | bytes | bytearray | memoryview | NDArray[np.generic]

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
"""What is decoded. JPEG includes the multi-picture files of phones (MPO), of which the main picture is taken."""

T = TypeVar("T")
_SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N")
_PREMULTIPLIED = {"La": "LA", "RGBa": "RGBA"}


class ImageError(ValueError):
    """A picture that cannot or may not be used; the message says why."""


@dataclass(frozen=True)
class Limits:
    """What is accepted from outside. Pillow's own size guard stays on beside these.

    `bytes`, `pixels` and `frames` are per picture, `images` and `tiles` (thumbnails not counted) per prompt. A file
    with more than `frames` frames is refused; the first frame is the one that is used.
    """

    bytes: int = 64 * 2**20
    pixels: int = 64_000_000
    frames: int = 1
    images: int = 20
    tiles: int = 128

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"the limit {name!r} is {value!r}, but it must be a whole number of at least 1")


DEFAULT_LIMITS = Limits()


class Header(NamedTuple):
    """What a picture's file says of itself: Pillow's name of the format, width and height of the upright picture."""

    format: str
    width: int
    height: int


def _check(limit: str, found: int, allowed: int, unit: str, hint: str = "") -> None:
    if found > allowed:
        raise ImageError(f"the picture has {found:,} {unit}, more than the limit {limit!r} of {allowed:,}{hint}")


def load_image(source: ImageSource, limits: Limits = DEFAULT_LIMITS) -> Image.Image:
    """A picture as an RGB Pillow image, its EXIF orientation applied.

    `source` is a Pillow image, a path, the bytes of a file, or an array: uint8 (H, W), (H, W, 1), (H, W, 3) or (H, W,
    4), or uint16 (H, W). Transparency is laid on white; 16 bits are scaled to 8; palettes and CMYK are converted.

    Raises:
        ImageError: no picture, no readable picture, a URL, an animation, a truncated file, or over one of the limits.
    """
    if isinstance(source, Image.Image):
        return _finish(source, limits)
    if isinstance(source, np.ndarray):
        return _finish(_from_array(source, limits), limits)
    if isinstance(source, bytes | bytearray | memoryview):
        return _finish(open_image(bytes(source), limits), limits)
    if isinstance(source, str | os.PathLike):
        return _from_path(os.fspath(source), limits)
    raise ImageError(
        f"a picture must be a Pillow image, a path, bytes or a numpy array, not {type(source).__module__}."
        f"{type(source).__qualname__}"
    )


def read_header(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Header:
    """The header of a picture's file, checked against the limits without decoding the picture.

    Raises:
        ImageError: no picture, an animation, or over one of the limits.
    """
    image = open_image(data, limits)
    _check_size(image, limits)
    return _guarded(lambda: _header(image, limits))


def _header(image: Image.Image, limits: Limits) -> Header:
    _check_frames(image, limits)
    known = image.format != "PNG" or "exif" in image.info  # Pillow decodes a PNG to look for EXIF behind the pixels
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1) if known else 1
    width, height = image.size
    return Header(str(image.format), *((height, width) if orientation in (5, 6, 7, 8) else (width, height)))


def _from_path(name: str, limits: Limits) -> Image.Image:
    if "://" in name or name.startswith("data:"):
        scheme = name.partition(":")[0]
        raise ImageError(
            f"pictures are not fetched from URLs (this one is {scheme}:…); download it and give a path or bytes"
        )
    path = Path(name)
    if not path.is_file():
        what = "is not a file" if path.exists() else "does not exist"
        raise ImageError(f"the picture {name!r} {what}")
    _check("bytes", path.stat().st_size, limits.bytes, "bytes")
    try:
        return _finish(open_image(path.read_bytes(), limits), limits)
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from error


def open_image(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Image.Image:
    """A picture's file, opened but not decoded: `load_image` does that, with the other limits.

    Raises:
        ImageError: no picture, or over the limit of bytes.
    """
    _check("bytes", len(data), limits.bytes, "bytes")
    return _guarded(lambda: Image.open(io.BytesIO(data), formats=FORMATS), len(data))


def _guarded(decode: Callable[[], T], size: int | None = None) -> T:
    """Run a step of Pillow's decoding; whatever a broken or hostile file makes it raise becomes an `ImageError`."""
    held = "" if size is None else f" ({size:,} bytes)"
    try:
        return decode()
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"the picture is over Pillow's size guard: {error}") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"the data{held} is no picture in any of the formats {', '.join(FORMATS)}") from error
    except Exception as error:  # decoders raise almost anything on broken data: OSError, SyntaxError, struct.error …
        raise ImageError(f"the picture cannot be decoded; it is truncated or damaged: {error}") from error


def _from_array(array: NDArray[np.generic], limits: Limits) -> Image.Image:
    shape = " x ".join(map(str, array.shape))
    if array.size == 0:
        raise ImageError(f"the array of shape {shape} is empty")
    if np.issubdtype(array.dtype, np.floating):
        raise ImageError(
            f"the array is {array.dtype}, whose range is anyone's guess; scale it to uint8 levels 0 to 255"
        )
    _check("pixels", int(np.prod(array.shape[:2])), limits.pixels, "pixels")
    grey = array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 1)
    if array.dtype == np.uint16 and grey:
        return Image.fromarray(_eight_bits(array.reshape(array.shape[:2])))
    if array.dtype != np.uint8 or not (grey or (array.ndim == 3 and array.shape[2] in (3, 4))):
        raise ImageError(
            f"an array must be uint8 of height x width x (1, 3 or 4 channels) or uint16 of height x width, not "
            f"{array.dtype} of {shape}; are the channels first?"
        )
    return Image.fromarray(array.reshape(array.shape[:2]) if grey else array)


def _finish(image: Image.Image, limits: Limits) -> Image.Image:
    """Check what the header says, decode, turn upright, convert to RGB."""
    _check_size(image, limits)
    return _guarded(lambda: _decode(image, limits))


def _check_size(image: Image.Image, limits: Limits) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise ImageError(f"a picture of {width}x{height} pixels has nothing to show; both sides must be at least 1")
    allowed = min(limits.pixels, Image.MAX_IMAGE_PIXELS or limits.pixels)
    _check("pixels", width * height, allowed, "pixels", f" ({width}x{height}); make it smaller first")


def _decode(image: Image.Image, limits: Limits) -> Image.Image:
    _check_frames(image, limits)
    return _to_rgb(_upright(image))


def _check_frames(image: Image.Image, limits: Limits) -> None:
    if image.format == "MPO":  # the further pictures of a phone's multi-picture file are depth and gain maps
        return
    frames = getattr(image, "n_frames", 1)
    _check("frames", frames, limits.frames, "frames", "; take one frame of the animation, or one page, first")


def _upright(image: Image.Image) -> Image.Image:
    """Apply EXIF orientation; metadata that cannot be read turns nothing and spoils nothing."""
    image.load()
    try:
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) != 1
        return ImageOps.exif_transpose(image) if turned else image
    except Exception:
        return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    if image.mode in _SIXTEEN_BIT:
        return Image.fromarray(_eight_bits(np.asarray(image))).convert("RGB")
    if image.mode in ("I", "F"):
        raise ImageError(
            f"the picture has mode {image.mode!r}, whose range is anyone's guess; "
            "scale it to 8 bits (mode 'L') or give 'I;16'"
        )
    if image.has_transparency_data:
        return _on_white(image)
    return image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    straight = image.convert(_PREMULTIPLIED.get(image.mode, image.mode)).convert("RGBA")
    white = Image.new("RGBA", straight.size, "white")
    return Image.alpha_composite(white, straight).convert("RGB")


def _eight_bits(levels: NDArray[np.generic]) -> NDArray[np.uint8]:
    """16-bit levels to the nearest 8-bit levels: 65,535 / 255 = 257."""
    return ((levels.astype(np.uint32) + 128) // 257).astype(np.uint8)
