"""Where views go: into the token sequence and into memory; and the border where text and images meet.

Axes: V views of the whole batch, B rows, S tokens, I views of a row in the sequence, M views of a row in memory,
G tokens of a tag, N tokens of a view, D width. Views are named by their index in V, so rows that share an image share
its features.
"""

import torch
from torch import Tensor

from nvlm.modeling.architectures import find_architecture
from nvlm.modeling.views import Views

__all__ = [
    "check_indices",
    "check_places",
    "check_slots",
    "fill_slots",
    "gather_memory",
    "keys_per_row",
    "mean_tags",
    "rows_at",
    "without_first",
]


def fill_slots(embeds_BSD: Tensor, slots_BS: Tensor, features_VND: Tensor, views_BI: Tensor) -> Tensor:
    """Put the features of each row's views, in order, where that row reserves slots."""
    inline = features_VND[views_BI[views_BI >= 0]].to(embeds_BSD)
    return embeds_BSD.masked_scatter(slots_BS[..., None], inline)


def gather_memory(
    features_VND: Tensor, views_BM: Tensor, tags_BMGD: Tensor | None, added_BMD: Tensor | None = None
) -> Tensor:
    """Lay out every row's memory, (B, M · (G + N), D): each view, after its tag where tags stand in memory.

    `added` is added to every token of its view. What stands at padded views and tags is arbitrary; `masks.may_read`
    hides it.
    """
    views = features_VND[views_BM.clamp(min=0)]
    if added_BMD is not None:
        views = views + added_BMD.unsqueeze(2).to(views)
    if tags_BMGD is not None:
        views = torch.cat([tags_BMGD.to(views), views], dim=2)
    return views.flatten(1, 2)


def mean_tags(tags_BMGD: Tensor, tag_ids_BMG: Tensor) -> Tensor:
    """The mean of each tag's tokens, (B, M, D)."""
    written = (tag_ids_BMG >= 0).unsqueeze(-1).to(tags_BMGD)
    return (tags_BMGD * written).sum(2) / written.sum(2).clamp(min=1)


def keys_per_row(views_BM: Tensor, tag_ids_BMG: Tensor | None, tokens_per_view: int) -> int:
    """K, the keys in each row's memory: M · (G + N)."""
    tag_tokens = 0 if tag_ids_BMG is None else int(tag_ids_BMG.shape[2])
    return int(views_BM.shape[1]) * (tag_tokens + tokens_per_view)


def rows_at(mask_BSM: Tensor, past: int | Tensor, length: int) -> Tensor:
    """The rows of `cross_attention_mask` for `length` tokens after `past`: (B, length, M).

    Generated tokens stand behind the last prompt token and read what it reads.
    """
    positions = torch.arange(length, device=mask_BSM.device) + past
    return mask_BSM[:, positions.clamp(max=mask_BSM.shape[1] - 1)]


def without_first(views_BI: Tensor, count_B: Tensor) -> Tensor:
    """Pad away the first `count` views of each row: their slots are already in the cache."""
    rank = (views_BI >= 0).cumsum(-1)
    return views_BI.masked_fill(rank <= count_B[:, None], -1)


def check_places(
    architecture: str,
    has_images: bool,
    sequence_views: Tensor | None,
    memory_views: Tensor | None,
    memory_tag_ids: Tensor | None,
) -> None:
    """Refuse inputs that were prepared for another architecture, as far as they show it."""
    places = find_architecture(architecture)
    wrong = None
    if sequence_views is not None and not places.in_sequence:
        wrong = "got sequence_views, but architecture {} puts no view into the sequence"
    elif memory_views is not None and not places.in_memory:
        wrong = "got memory_views, but architecture {} keeps no view in memory"
    elif memory_tag_ids is not None and not places.tags_in_memory:
        wrong = "got memory_tag_ids, but architecture {} keeps no tag in memory"
    elif has_images and sequence_views is None and memory_views is None:
        wrong = "got images but neither sequence_views nor memory_views, so nothing of architecture {} would read them"
    elif has_images and sequence_views is None and Views.THUMBNAIL in places.in_sequence:
        wrong = "got images without sequence_views, but architecture {} puts every thumbnail into the sequence"
    if wrong is not None:
        raise ValueError(wrong.format(architecture) + "; were the inputs prepared for another architecture?")


def check_indices(name: str, views: Tensor | None, num_views: int) -> None:
    """Refuse indices that point behind the last view."""
    if views is not None and views.numel() and (largest := int(views.max())) >= num_views:
        raise ValueError(
            f"{name} points at view {largest} but the batch has {num_views} views (0 to {num_views - 1}); "
            "do the pixels belong to this batch?"
        )


def check_slots(slots_BS: Tensor, views_BI: Tensor | None, tokens_per_view: int) -> None:
    """Refuse rows that reserve more or fewer slots than their views have tokens."""
    slots = slots_BS.sum(-1)
    features = torch.zeros_like(slots) if views_BI is None else (views_BI >= 0).sum(-1) * tokens_per_view
    if torch.equal(slots, features):
        return
    row = int((slots != features).nonzero()[0])
    raise ValueError(
        f"row {row} reserves {int(slots[row])} image slots but its views in the sequence have {int(features[row])} "
        f"features ({tokens_per_view} per view); were the prompt and the images prepared for different architectures, "
        "or was the prompt cut?"
    )
