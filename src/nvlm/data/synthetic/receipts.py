"""Receipts: shop, date, items with prices, total (paper table 6: document and OCR sets such as SROIE)."""

import random

from nvlm.data.synthetic.canvas import Canvas, draw_layout
from nvlm.data.synthetic.problem import Problem, Turn
from nvlm.data.synthetic.splits import Split, draw
from nvlm.data.synthetic.words import kinds

LINE_HEIGHT = 1.25
TOTAL = ("What is the total?", "How much was paid?", "Total?")
DATE = ("What is the date?", "When was this bought?", "Date?")
PRICE = ("What is the price of {}?", "How much is {}?", "{}?")


def receipt(rng: random.Random, split: Split) -> Problem:
    """A receipt of one to five items. Held out: dates, (item, price) pairs and layouts."""
    layout = draw_layout(rng, split, "receipt", ((2, 2), (2, 3), (3, 2)), (11, 14), ("plain", "ruled"))
    canvas = Canvas.random(rng, layout)
    step = layout.size * LINE_HEIGHT
    most = min(5, int((layout.height - 4) / step) - 3)
    items: dict[str, int] = {}
    for _ in range(rng.randint(1, most)):
        item, price = draw(
            lambda: (rng.choice(kinds()["foods"]), rng.randint(5, 999)), lambda row: f"{row[0]} at {row[1]}", split
        )
        if canvas.text_width(f"{item}  9.99") < layout.width - 8:
            items.setdefault(item, price)
    date = draw(lambda: _date(rng), lambda text: f"date {text}", split)
    shop = " ".join(rng.sample(kinds()["shops"], 1 + (layout.columns > 2)))
    total = _money(sum(items.values()))
    draw_receipt(rng, canvas, shop, date, [(item, _money(price)) for item, price in items.items()], total)
    turns = [
        Turn("receipt/total", rng.choice(TOTAL), total),
        Turn("receipt/date", rng.choice(DATE), date),
        Turn("receipt/shop", "What is the name of the shop?", shop),
        Turn("receipt/count", "How many items are there?", str(len(items))),
    ]
    turns += [
        Turn("receipt/price", rng.choice(PRICE).format(item), _money(price), evidence=item)
        for item, price in items.items()
    ]
    return Problem(rng.sample(turns, rng.randint(1, 4)), canvas.finish(), rng.sample(turns, len(turns)))


def draw_receipt(
    rng: random.Random, canvas: Canvas, shop: str, date: str, items: list[tuple[str, str]], total: str
) -> None:
    """Draw a receipt from the top: shop, date, items, a rule, the total."""
    layout = canvas.layout
    step = layout.size * LINE_HEIGHT
    left = rng.uniform(2, 6)
    right = layout.width - rng.uniform(2, 6)
    y = rng.uniform(1, max(1.01, layout.height - (len(items) + 3) * step - 2))
    centred = rng.random() < 0.5
    for text in (shop, date):
        canvas.text((layout.width - canvas.text_width(text)) / 2 if centred else left, y, text)
        y += step
    for name, price in items:
        canvas.text(left, y, name)
        canvas.text(right - canvas.text_width(price), y, price)
        y += step
    if layout.style == "ruled":
        canvas.line(left, y, right, y)
    name = rng.choice(("Total", "TOTAL", "total"))
    canvas.text(left, y, name)
    canvas.text(right - canvas.text_width(total), y, total)


def _money(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


def _date(rng: random.Random) -> str:
    return f"{rng.randint(2010, 2029)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
