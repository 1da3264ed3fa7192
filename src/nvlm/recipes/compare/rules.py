"""How the report's numbers were found, in sentences that stand beside them."""

from nvlm.evaluation.intervals import MARGIN

VERDICTS = (
    "A comparison holds where the whole 95 % interval over questions is on the claimed side and every seed is; it does "
    "not hold where both are on the other side, or where the whole interval lies within "
    f"{100 * MARGIN:.0f} points of 0. Otherwise, and with fewer than two seeds, nobody can tell. Times are compared by "
    "the interval of their ratio. A finding of several comparisons holds if all do, and does not if one does not. The "
    "rules were written before there were results."
)
SCORES = (
    "Brackets: the 95 % interval over questions, a question's score being its mean over the seeds (Wilson's with one "
    "seed and right-or-wrong scores, else a bootstrap's). Seeds: the lowest and the highest mean of a seed, which "
    "shows how far training runs lie apart; the interval does not hold that."
)
DIFFERENCES = (
    "Brackets: Agresti and Min's 95 % interval of the paired difference over the same questions; below it the "
    "difference of each seed, trained on the same samples in the same order."
)
TEXT_CHANGE = (
    f"Paired over the same text-only questions. Kept: the whole interval lies within {100 * MARGIN:.0f} points of 0; "
    "lost or gained: all of it lies on one side."
)
LENGTHS = (
    "Tokens of a prompt with one picture and a short question, exact: the whole decoder sequence; below it "
    "image tokens in the sequence + tokens in memory (image tokens, and in H the tags). Every picture of more than one "
    "tile has its thumbnail as a further view."
)
SPEED = (
    "Medians over rounds in which the variants take turns, in one process on {threads}; brackets: order statistics "
    "that hold the true median in 95 % of samples. A step is forward, backward and update of an SFT batch on stored "
    "features; making the batch is counted apart. First token: from a picture of six tiles and a question, encoder "
    "included; models answer before training, which changes no time. Memory: the highest resident set of a process of "
    "its own that does three such steps."
)
GATES = (
    "A gate at 0 closes cross-attention, ±1 opens it fully. The family's gates begin at tanh(0.5) = 0.46. Learning: in "
    "SFT."
)
CURVES = (
    "A line for each seed; a point is a mean over neighbouring steps. The loss is the stage's own: where alignment "
    "counts, it is in it."
)
EXAMPLES = "The first question of each task, not chosen by its answers; lowest seed; below each answer its score."
SEEDS = (
    "A seed decides new parts' first values, the order of pictures and the text-only questions of training. The "
    "backbones are the same for all. Variants with the same seed see the same samples in the same order."
)
