"""Who may read which key, as explicit lists."""

import torch

from nvlm.modeling.masks import may_read


def test_views_become_runs_of_keys():
    views = torch.tensor([[[True, False], [False, True], [False, False]]])
    mask, readers = may_read(views, None, tokens_per_view=2)
    assert mask.shape == (1, 1, 3, 4)
    assert mask[0, 0, :2].int().tolist() == [[1, 1, 0, 0], [0, 0, 1, 1]]
    assert readers[0, :, 0].tolist() == [True, True, False]


def test_a_token_with_nothing_to_read_is_no_reader_but_has_keys():
    """A softmax over nothing is not a number; what such a token gets is thrown away by `readers`."""
    mask, readers = may_read(torch.zeros(1, 1, 2, dtype=torch.bool), None, tokens_per_view=3)
    assert mask.all() and not readers.any()


def test_tags_are_keys_before_their_view_and_their_padding_is_not():
    views = torch.ones(1, 1, 2, dtype=torch.bool)
    tags = torch.tensor([[[7, 8, 9], [7, -1, -1]]])
    mask, readers = may_read(views, tags, tokens_per_view=2)
    assert mask[0, 0, 0].int().tolist() == [1, 1, 1, 1, 1, 1, 0, 0, 1, 1]
    assert readers.all()
