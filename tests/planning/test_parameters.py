import pytest

from nvlm.planning.parameters import Count, choose_learning, count_parameters
from tests.modeling.batches import model, text_config
from tests.modeling.test_full_size import build


def test_parts_of_the_published_sizes():
    nvlm = build("72B", "H")
    choose_learning(nvlm, ("connector.*", "language_model.*.cross_attention.*"))
    parts = count_parameters(nvlm)
    billions = {part: round(count.total / 1e9, 2) for part, count in parts.items()}
    assert billions == {
        "vision encoder": 5.54,
        "connector": 0.62,
        "embeddings": 1.25,
        "decoder layers": 70.21,
        "cross-attention": 1.51,
        "head": 1.25,
    }
    assert [part for part, count in parts.items() if count.learning] == ["connector", "cross-attention"]
    assert parts["connector"] == Count(parts["connector"].total, parts["connector"].total)


def test_every_parameter_is_in_one_part_and_tied_ones_count_once():
    nvlm = model("X", text_config=text_config(tie_word_embeddings=True))
    parts = count_parameters(nvlm)
    assert sum(count.total for count in parts.values()) == nvlm.num_parameters()
    assert parts["head"].total == 0


def test_a_pattern_that_matches_nothing_is_refused():
    with pytest.raises(ValueError, match=r"nothing to train matches \*cross_attention\* in NVLM-D"):
        choose_learning(model("D"), ("connector.*", "*cross_attention*"))
