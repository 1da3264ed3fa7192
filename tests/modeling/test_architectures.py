"""The table that tells D, X and H apart."""

import pytest

from nvlm.modeling import ARCHITECTURES, Architecture, Views, find_architecture


def test_published_rows():
    d, x, h = (ARCHITECTURES[name] for name in "DXH")
    assert (d.in_sequence, d.in_memory, d.tags_in_memory) == (Views.ALL, Views.NONE, Views.NONE)
    assert (x.in_sequence, x.in_memory, x.tags_in_memory) == (Views.NONE, Views.ALL, Views.NONE)
    assert (h.in_sequence, h.in_memory, h.tags_in_memory) == (Views.THUMBNAIL, Views.TILES, Views.TILES)
    assert [row.projector_layers for row in (d, x, h)] == [2, 1, 2]


def test_unknown_architecture_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"'Z': expected one of D, X, H"):
        find_architecture("Z")


@pytest.mark.parametrize(("sequence", "memory"), [(Views.ALL, Views.TILES), (Views.TILES, Views.NONE)])
def test_every_view_goes_to_exactly_one_place(sequence: Views, memory: Views):
    with pytest.raises(ValueError, match="exactly one place"):
        Architecture(in_sequence=sequence, in_memory=memory, tags_in_sequence=Views.ALL)


def test_a_view_in_the_sequence_has_its_tag_there():
    with pytest.raises(ValueError, match="stands before it in the sequence"):
        Architecture(in_sequence=Views.ALL, in_memory=Views.NONE, tags_in_sequence=Views.THUMBNAIL)
