import pytest

from nvlm.recipes.compare.variants import ABLATIONS, MAIN, base_of, choose, find_variant, in_order, title_of
from nvlm.recipes.nano.variant import Variant


def test_a_name_is_an_architecture_and_its_changes():
    assert find_variant("d") == Variant("D")
    assert find_variant("x-frozen", seed=2) == Variant("X", 2, train_language=False)
    assert find_variant("h-low-res+no-text") == Variant("H", thumbnail_only=True, text=False)
    assert find_variant("x-every-2") == Variant("X", cross_attention_every=2)
    assert find_variant("d-2d-box").tags == "2d-box"
    assert base_of("x-low-res+no-text") == "x"
    assert title_of("x-low-res+no-text") == "X, low resolution: the thumbnail alone, no text-only data in SFT"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("q-no-tags", "begins with no architecture"),
        ("d-no-tag", "did you mean no-tags"),
        ("d-feed-forward", "D has no cross-attention"),
        ("d-every-1", "no change 'every-1': did you mean every-"),  # what is not changed is no change
        (" , ", "names nothing"),
    ],
)
def test_what_is_no_variant_is_told(words: str, message: str):
    with pytest.raises(ValueError, match=message):
        choose(words)


def test_a_list_holds_sets_and_names_each_once():
    assert choose("main, D-no-tags,d") == ("d", "x", "h", "d-no-tags")
    assert choose("all") == MAIN + ABLATIONS
    assert in_order(["x-frozen", "h", "h-no-text+2d-grid", "d"]) == ["d", "h", "x-frozen", "h-no-text+2d-grid"]
