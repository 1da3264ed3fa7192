import pytest

from nvlm.modeling.architectures import ARCHITECTURES
from nvlm.modeling.views import Views
from nvlm.processing.tags import Tags, render_image, views_of
from nvlm.processing.tiling import Grid

G = "<tile_global_thumbnail>"
S = "<|slot|>"

SIX = Grid(3, 2)
TAGS_OF_SIX = {
    "none": [""] * 7,
    "1d": ["<tile_1>", "<tile_2>", "<tile_3>", "<tile_4>", "<tile_5>", "<tile_6>", G],
    "2d-grid": ["<tile_x0_y0>", "<tile_x1_y0>", "<tile_x2_y0>", "<tile_x0_y1>", "<tile_x1_y1>", "<tile_x2_y1>", G],
    "2d-box": [
        "<box> (0, 0), (333, 500) </box>",
        "<box> (333, 0), (667, 500) </box>",
        "<box> (667, 0), (1000, 500) </box>",
        "<box> (0, 500), (333, 1000) </box>",
        "<box> (333, 500), (667, 1000) </box>",
        "<box> (667, 500), (1000, 1000) </box>",
        G,
    ],
}


@pytest.mark.parametrize("tag_format", TAGS_OF_SIX)
def test_tags_of_six_tiles_and_a_thumbnail(tag_format: str) -> None:
    views = views_of(SIX, Tags(tag_format))
    assert [tag for _, tag in views] == TAGS_OF_SIX[tag_format]
    assert [kind for kind, _ in views] == [Views.TILES] * 6 + [Views.THUMBNAIL]


@pytest.mark.parametrize("tag_format", ["1d", "2d-grid", "2d-box"])
def test_one_tile_has_the_thumbnails_tag_only(tag_format: str) -> None:
    assert views_of(Grid(1, 1), Tags(tag_format)) == ((Views.THUMBNAIL, G),)
    assert views_of(Grid(1, 1), Tags(tag_format), thumbnail=False) == ((Views.THUMBNAIL, G),)


def test_the_thumbnail_and_its_tag_are_choices() -> None:
    assert views_of(Grid(2, 1), Tags("1d", "<tile_global>"))[-1].tag == "<tile_global>"
    assert [view.tag for view in views_of(Grid(2, 1), thumbnail=False)] == ["<tile_1>", "<tile_2>"]


RENDERED = {
    ("D", "1d"): f"<Image><tile_1>{S}{S}<tile_2>{S}{S}{G}{S}{S}</Image>",
    ("X", "1d"): f"<Image><tile_1><tile_2>{G}</Image>",
    ("H", "1d"): f"<Image>{G}{S}{S}</Image>",
    ("D", "none"): f"<Image>{S * 6}</Image>",
    ("X", "none"): "<Image></Image>",
    ("H", "none"): f"<Image>{S}{S}</Image>",
    ("D", "2d-grid"): f"<Image><tile_x0_y0>{S}{S}<tile_x1_y0>{S}{S}{G}{S}{S}</Image>",
    ("X", "2d-grid"): f"<Image><tile_x0_y0><tile_x1_y0>{G}</Image>",
    ("X", "2d-box"): f"<Image><box> (0, 0), (500, 1000) </box><box> (500, 0), (1000, 1000) </box>{G}</Image>",
    ("H", "2d-box"): f"<Image>{G}{S}{S}</Image>",
}


@pytest.mark.parametrize(("architecture", "tag_format"), RENDERED)
def test_an_image_as_text(architecture: str, tag_format: str) -> None:
    text = render_image(Grid(2, 1), 2, ARCHITECTURES[architecture], Tags(tag_format))
    assert text == RENDERED[architecture, tag_format]


@pytest.mark.parametrize("architecture", ["D", "H"])
def test_one_tile_stands_in_the_sequence_of_d_and_h(architecture: str) -> None:
    assert render_image(Grid(1, 1), 1, ARCHITECTURES[architecture]) == f"<Image>{G}{S}</Image>"
    assert render_image(Grid(1, 1), 1, ARCHITECTURES["X"]) == f"<Image>{G}</Image>"


def test_unknown_formats_and_empty_grids_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown tag format '3d'; there are none, 1d, 2d-grid, 2d-box"):
        Tags("3d")
    with pytest.raises(ValueError, match="a grid of 0 columns and 2 rows holds no tile"):
        views_of(Grid(0, 2))
