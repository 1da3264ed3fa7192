import torch
from PIL import Image

from nvlm.data.synthetic.canvas import Canvas, Layout
from nvlm.recipes.nano.alignment import (
    NOTHING,
    UNREADABLE,
    alignment_loss,
    nearest_named,
    place_codes,
    shown_tokens,
)
from nvlm.recipes.nano.language import build_processor

TOKENIZER = build_processor("D").tokenizer


def canvas(columns: int, rows: int, size: int) -> Canvas:
    return Canvas(Layout(columns, rows, "DejaVuSansMono", size, "plain"), 1.0, (255, 255, 255), (0, 0, 0))


def token(text: str) -> int:
    (only,) = TOKENIZER.encode(text)
    return only


def test_image_tokens_show_the_words_digits_and_colours_they_cover():
    paper = canvas(1, 1, 14)
    paper.text(2, 2, "fox")
    paper.text(34, 2, "47")
    paper.shape("circle", "red", 16, 48, 10)
    (view,) = shown_tokens(paper.finish().marks, 1, 1, TOKENIZER)
    seen = [set(place.tolist()) - {NOTHING} for place in view]
    assert seen[0] == {token("fox")}
    assert seen[2] == {token("47")}
    assert seen[8] == {token("circle"), token("red")}
    assert seen[15] == set()


def test_small_print_of_the_thumbnail_is_unreadable():
    paper = canvas(3, 2, 12)
    paper.text(4, 4, "window")
    shown = shown_tokens(paper.finish().marks, 3, 2, TOKENIZER)
    assert shown.shape[0] == 7
    assert (shown[-1] == UNREADABLE).any()
    assert not (shown[:-1] == UNREADABLE).any()


def test_the_loss_is_nothing_at_the_embeddings_and_ignores_the_unreadable():
    embeddings = 20 * torch.eye(10)
    shown = torch.tensor([[[3, 3], [NOTHING, NOTHING], [UNREADABLE, NOTHING]]])
    projected = torch.stack([embeddings[3], embeddings[7], torch.full((10,), 9.0)])[None]
    assert alignment_loss(projected, shown, embeddings, blank=7) == 0
    for place in (0, 1):
        off = projected.clone()
        off[0, place] = embeddings[5]
        assert alignment_loss(off, shown, embeddings, blank=7) > 1


def test_a_token_that_shows_two_words_is_half_each():
    embeddings = torch.eye(10)
    shown = torch.tensor([[[3, 5]]])
    losses = {
        name: alignment_loss(projected.reshape(1, 1, 10), shown, embeddings, blank=7)
        for name, projected in {
            "both": embeddings[[3, 5]].mean(0), "one": embeddings[3], "another": embeddings[8]
        }.items()
    }  # fmt: skip
    assert losses["both"] < losses["one"] < losses["another"]


def test_codes_of_places_share_what_their_rows_and_columns_share():
    codes = place_codes(16, 192)
    places = [(place // 4, place % 4) for place in range(16)]
    shared = [[float((row == r) + (column == c)) for r, c in places] for row, column in places]
    torch.testing.assert_close(codes @ codes.T, torch.tensor(shared), atol=1e-5, rtol=0)


def test_a_token_may_also_say_where_it_stands():
    embeddings = 20 * torch.eye(10)
    shown = torch.tensor([[[3, NOTHING], [5, NOTHING], [NOTHING, NOTHING], [7, NOTHING]]])
    named = embeddings[torch.tensor([[3, 5, 7, 7]])]
    placed = named + 0.5 * 20 * place_codes(4, 10)
    assert alignment_loss(placed, shown, embeddings, blank=7, place=0.5) < 1e-4
    for projected, place in ((named, 0.5), (placed, 0.0)):
        assert alignment_loss(projected, shown, embeddings, blank=7, place=place) > 0.4


def test_a_blank_picture_has_nothing_to_show():
    drawing = canvas(1, 1, 12).finish()
    assert isinstance(drawing.image, Image.Image)
    assert (shown_tokens(drawing.marks, 1, 1, TOKENIZER) == NOTHING).all()


def test_only_tokens_that_show_one_thing_count_as_named():
    embeddings = torch.eye(6)
    shown = torch.tensor([[[2, NOTHING], [3, 3], [4, 5], [NOTHING, NOTHING], [UNREADABLE, 1]]])
    projected = embeddings[torch.tensor([[2, 0, 4, 1, 1]])]
    assert nearest_named(projected, shown, embeddings) == (1, 2)
