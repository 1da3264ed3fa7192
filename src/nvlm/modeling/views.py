"""The vocabulary that data and models share: into which views an image is cut."""

from enum import IntFlag

__all__ = ["Views"]


class Views(IntFlag):
    """Kinds of views of one image (section 4.1 of the paper): its regular tiles, and the thumbnail of the whole.

    A one-tile image has exactly one view, and it counts as the thumbnail.
    """

    NONE = 0
    TILES = 1
    THUMBNAIL = 2
    ALL = TILES | THUMBNAIL
