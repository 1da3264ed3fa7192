from nvlm.processing import Token, inspect
from tests.processing.builders import assistant, picture, processor, user


def test_every_token_says_its_role() -> None:
    made_by = processor("H", tokens_per_view=2)
    seen = inspect(made_by, [user(picture(), "What?"), assistant("Red.")], [(2, 1)])
    assert [[view.tag for view in views] for views in seen.views] == [
        ["<tile_1>", "<tile_2>", "<tile_global_thumbnail>"]
    ]
    assert (seen.sequence_views, seen.memory_views, seen.memory_tags) == ((2,), (0, 1), ("<tile_1>", "<tile_2>"))
    assert "".join(token.text for token in seen.tokens) == (
        "<|im_start|>user\n<Image><tile_global_thumbnail><|vision_pad|><|vision_pad|></Image>\nWhat?<|im_end|>\n"
        "<|im_start|>assistant\nRed.<|im_end|>\n"
    )
    slots = [token for token in seen.tokens if token.slot_view is not None]
    assert slots == [Token(made_by.image_token_id, "<|vision_pad|>", False, 2, None, ())] * 2
    assert "".join(token.text for token in seen.tokens if token.tag_view == 2) == "<tile_global_thumbnail>"
    assert "".join(token.text for token in seen.tokens if token.supervised) == "Red.<|im_end|>\n"
    assert seen.tokens[-1].readable == (0, 1)


def test_views_are_named_by_their_number_in_the_sample() -> None:
    seen = inspect(processor("X"), [user("a", picture(), picture())], [(1, 1), (2, 1)])
    assert {token.tag_view: token.readable for token in seen.tokens if token.tag_view is not None} == {
        view: (view,) for view in range(4)
    }
    assert inspect(processor("X"), [user("a")]).memory_views == ()
