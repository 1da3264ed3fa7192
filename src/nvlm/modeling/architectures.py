"""NVLM-D, NVLM-X and NVLM-H as three rows of one table (section 3 and figure 3 of the paper).

Every view of an image goes to one of two places: the token *sequence*, where self-attention reads it, or the *memory*,
where gated cross-attention reads it. Nothing else in the code asks which architecture it is; a fourth one is a fourth
row.
"""

from dataclasses import dataclass

from nvlm.modeling.views import Views

__all__ = ["ARCHITECTURES", "Architecture", "find_architecture"]


@dataclass(frozen=True)
class Architecture:
    """Where the views of an image go, and where their tags go.

    Attributes:
        in_sequence: views that take places in the token sequence; self-attention reads them.
        in_memory: views that gated cross-attention reads.
        tags_in_sequence: views whose tag stands in the token sequence; the other tags stand in memory beside their
            view.
        projector_layers: linear layers of the projector, as published (section 4.5), unless the configuration says
            otherwise.
    """

    in_sequence: Views
    in_memory: Views
    tags_in_sequence: Views
    projector_layers: int = 2

    def __post_init__(self) -> None:
        if self.in_sequence & self.in_memory or self.in_sequence | self.in_memory != Views.ALL:
            raise ValueError(
                "every view goes to exactly one place, but in_sequence is "
                f"{self.in_sequence!r} and in_memory is {self.in_memory!r}"
            )
        if self.in_sequence & ~self.tags_in_sequence:
            raise ValueError(
                f"the tag of a view in the sequence stands before it in the sequence, but in_sequence is "
                f"{self.in_sequence!r} and tags_in_sequence only {self.tags_in_sequence!r}"
            )

    @property
    def tags_in_memory(self) -> Views:
        """Views whose tag stands in memory, as keys before its view."""
        return self.in_memory & ~self.tags_in_sequence


ARCHITECTURES = {
    "D": Architecture(in_sequence=Views.ALL, in_memory=Views.NONE, tags_in_sequence=Views.ALL),
    "X": Architecture(in_sequence=Views.NONE, in_memory=Views.ALL, tags_in_sequence=Views.ALL, projector_layers=1),
    "H": Architecture(in_sequence=Views.THUMBNAIL, in_memory=Views.TILES, tags_in_sequence=Views.THUMBNAIL),
}


def find_architecture(name: str) -> Architecture:
    """The row called `name`, or a `ValueError` that lists the rows there are."""
    if name not in ARCHITECTURES:
        raise ValueError(f"unknown architecture {name!r}: expected one of {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name]
