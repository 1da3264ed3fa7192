"""A comparison that was never run: scores drawn from seeds, with effects that are put in."""

import random
from collections.abc import Mapping

from nvlm.data.synthetic.tasks import questions
from nvlm.evaluation.nano_suite import NANO
from nvlm.recipes.compare.evidence import Evidence
from nvlm.recipes.compare.pools import TEXT_ONLY, TEXT_RICH
from nvlm.recipes.compare.report import Example, Length, Measured, Setting, Speed

SETTING = Setting(
    recipe="the nano family",
    command="nvlm compare nano",
    machine="2 CPU cores",
    stages=(("align", "600 steps of 32 rows; trains connector.*"), ("sft", "1,500 steps of 24 rows")),
    questions=20,
    threads="1 CPU thread",
)


def scores(variant: str, seed: int, effects: Mapping[str, float], count: int = 20) -> dict[str, dict[str, float]]:
    """Right-or-wrong scores: the same questions are hard for everybody."""
    rng = random.Random(f"{variant}/{seed}")
    return {
        task: {
            f"test/{task}/{number}": float(
                random.Random(f"{task}/{number}").random() + rng.gauss(0, 0.05) < _skill(task, variant, effects)
            )
            for number in range(count)
        }
        for task in NANO
    }


def _skill(task: str, variant: str, effects: Mapping[str, float]) -> float:
    base = 0.8 if task in TEXT_ONLY else 0.5
    change = effects.get(variant, 0.0) if task in TEXT_RICH or "text" in variant else 0.0
    return base + change


def evidence(variant: str, seed: int, effects: Mapping[str, float], count: int = 20) -> Evidence:
    """One run, complete."""
    stages = ("align", "pretrain", "sft")
    rng = random.Random(f"curve/{variant}/{seed}")
    return Evidence(
        variant,
        seed,
        scores(variant, seed, effects, count),
        curves={stage: [(10 * at, 3 / (1 + at / 10) + rng.random() / 5) for at in range(1, 40)] for stage in stages},
        gates=[] if variant.startswith("d") else [("layer 1", 0.46 + 0.01 * seed), ("layer 3", 0.51)],
        seconds=dict.fromkeys(stages, 60.0),
        parameters={"connector": (120_000, 120_000), "vision encoder": (1_200_000, 0)},
    )


def measured(effects: Mapping[str, float], variants: tuple[str, ...], seeds: int = 3) -> Measured:
    """Everything that a report is made of."""
    runs = {name: [evidence(name, seed, effects) for seed in range(seeds)] for name in variants}
    sample, turn = next(questions("test", "chart/value", 1))
    text, asked = next(questions("test", "text/value", 1))
    slow = {"d": 0.30, "x": 0.15, "h": 0.20}
    speeds = {
        name: Speed(
            steps=[slow[name] * (1 + 0.02 * (number % 3)) for number in range(12)],
            batches=[0.05] * 12,
            rows=24,
            first_token=[slow[name] / 10] * 12,
            token=[0.004] * 12,
            memory=900.0 + len(name),
        )
        for name in variants
        if name in slow
    }
    lengths = {
        name: tuple(Length(tiles, 16 * tiles + 16, 0, 16 * tiles + 40) for tiles in (1, 2, 4, 6)) for name in runs
    }
    examples = [
        Example("chart/value", turn.question, turn.answer, sample.images[0], {"d": ("12", 1.0), "x": ("<7|8>", 0.0)}),
        Example("text/value", asked.question, asked.answer, None, {"d": ("3", 0.5), "x": ("4", 0.0)}),
    ]
    del text
    return Measured(runs, scores("baseline", 0, {}), speeds, lengths, examples)
