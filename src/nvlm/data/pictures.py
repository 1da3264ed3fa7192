"""Pictures on their way into shards: checked by their header and their last bytes, kept byte for byte."""

from pathlib import Path
from typing import NamedTuple

from nvlm.data.original import Picture
from nvlm.processing.images import DEFAULT_LIMITS, ImageError, Limits, load_image, read_header

ENDINGS = {
    "BMP": "bmp",
    "GIF": "gif",
    "JPEG": "jpg",
    "MPO": "jpg",
    "PNG": "png",
    "TIFF": "tiff",
    "WEBP": "webp",
}
"""Pillow's name of a format → the ending of its files."""

TAIL = 1024
"""Where the mark at the end of a file is looked for: some writers put a few bytes behind it."""


class Checked(NamedTuple):
    """The bytes of a picture's file, the ending of its format, width and height of the upright picture."""

    data: bytes
    ending: str
    width: int
    height: int


def check_picture(picture: Picture, limits: Limits = DEFAULT_LIMITS) -> Checked:
    """A picture that can be stored. It is decoded only if its last bytes do not show that the file is whole.

    Raises:
        ImageError: it is no picture, damaged, or over one of the limits.
        OSError: its file cannot be read.
    """
    data = picture if isinstance(picture, bytes) else _read(picture, limits)
    header = read_header(data, limits)
    if not _is_whole(header.format, data):
        load_image(data, limits)
    return Checked(data, ENDINGS[header.format], header.width, header.height)


def _read(path: Path, limits: Limits) -> bytes:
    size = path.stat().st_size
    if size > limits.bytes:
        raise ImageError(f"{path} has {size:,} bytes, more than the limit 'bytes' of {limits.bytes:,}")
    return path.read_bytes()


def _is_whole(format: str, data: bytes) -> bool:
    """Whether the file has its end; of some formats that cannot be told."""
    match format:
        case "JPEG" | "MPO":
            return b"\xff\xd9" in data[-TAIL:]
        case "PNG":
            return b"IEND" in data[-TAIL:]
        case "WEBP":
            return int.from_bytes(data[4:8], "little") + 8 <= len(data)
        case _:
            return False
