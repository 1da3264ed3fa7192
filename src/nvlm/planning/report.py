"""A plan as tables: one column per architecture, in a terminal or as plain text."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table

from nvlm.planning.disk import KEPT, PICTURE_BYTES
from nvlm.planning.gpus import USABLE
from nvlm.planning.measured import Comparison
from nvlm.planning.memory import SINGLE
from nvlm.planning.plan import Plan
from nvlm.planning.sharding import Layout
from nvlm.planning.stage import StagePlan

__all__ = ["PLAIN_WIDTH", "print_plan"]

PLAIN_WIDTH = 120
Value = Callable[[StagePlan], str]
Rows = Sequence[tuple[str, Value]]


def print_plan(console: Console, plan: Plan) -> None:
    """All tables, from the parameters to what the numbers rest on."""
    memory = f"{plan.gpu.memory / 2**30:.0f} GiB"
    console.print(f"{plan.name} on {plan.gpus} x {plan.gpu.name} ({memory}), {plan.rate.source}", soft_wrap=True)
    print_parameters(console, plan.stages)
    for number in range(len(next(iter(plan.stages.values())))):
        print_stage(console, {name: stages[number] for name, stages in plan.stages.items()})
    if plan.comparisons:
        print_comparisons(console, plan.comparisons)
    print_notes(console, plan)


def print_parameters(console: Console, plans: Mapping[str, Sequence[StagePlan]]) -> None:
    """Parameters by part, and how many learn in each stage.

    Args:
        plans: by architecture, one plan per stage.
    """
    first = [stages[0] for stages in plans.values()]
    unit = fitting(PARAMETERS, (sum(count.total for count in plan.parts.values()) for plan in first))
    table = new_table(console, f"Parameters, in {unit.name}", list(plans))
    for part in first[0].parts:
        table.add_row(part, *(f"{plan.parts[part].total / unit.size:.3f}" for plan in first))
    table.add_section()
    table.add_row("all", *(f"{sum(count.total for count in plan.parts.values()) / unit.size:.3f}" for plan in first))
    for number, stage in enumerate(plan.workload.name for plan in next(iter(plans.values()))):
        learning = (sum(count.learning for count in stages[number].parts.values()) for stages in plans.values())
        table.add_row(f"learning in {stage}", *(f"{count / unit.size:.3f}" for count in learning))
    console.print(table)


def print_stage(console: Console, plans: Mapping[str, StagePlan]) -> None:
    """One stage: samples, FLOPs, memory, layout, time, disk."""
    name = next(iter(plans.values())).workload.name
    table = new_table(console, f"Stage {name}", list(plans))
    columns = list(plans.values())
    for rows in (sample_rows(columns), flops_rows(columns), memory_rows(columns), LAYOUT, TIME, DISK):
        for label, value in rows:
            table.add_row(label, *map(value, columns))
        table.add_section()
    if len(plans) > 1 and all(plan.time for plan in columns):
        base = next(iter(plans))
        table.add_row(f"samples/s against {base}", *(f"{speed(plan) / speed(columns[0]):.2f}" for plan in columns))
    console.print(table)


def print_comparisons(console: Console, comparisons: Mapping[str, Comparison]) -> None:
    """Published times of a step beside what the FLOPs say."""
    measured = next(iter(comparisons.values())).measured
    title = (
        f"Beside {measured.source}: {measured.gpus} x {measured.gpu}, batch {measured.batch}, "
        f"text {measured.text:,}, tiles {measured.tiles} + 1"
    )
    table = new_table(console, title, list(comparisons))
    each = list(comparisons.values())
    table.add_row("measured, samples/s", *(f"{one.samples_per_second:.1f}" for one in each))
    table.add_row("TFLOP per sample, by this planner", *(f"{one.sample_flops / 1e12:,.0f}" for one in each))
    table.add_row("MFU that follows", *(f"{100 * one.mfu:.1f} %" for one in each))
    if len(each) > 1:
        base = next(iter(comparisons))
        against = comparisons[base]
        table.add_section()
        table.add_row(
            f"samples/s against {base}, measured",
            *(f"{one.samples_per_second / against.samples_per_second:.2f}" for one in each),
        )
        table.add_row(
            f"samples/s against {base}, by FLOPs",
            *(f"{against.sample_flops / one.sample_flops:.2f}" for one in each),
        )
    console.print(table)


def print_notes(console: Console, plan: Plan) -> None:
    """What the numbers rest on, and what is not in them."""
    held = (
        "all in float32"
        if plan.precision is SINGLE
        else "weights that learn in float32 with bf16 copies, frozen ones in bf16"
    )
    notes = (
        "Every sample is as long as its stage allows. FLOPs: what one has to compute, nothing of it twice; an MFU is a "
        "share of the peak in the same sense.",
        f"Memory: {held}; {100 * (1 - USABLE):.0f} % of a GPU stays free. "
        "The peak holds the larger of a layer's backward pass and the loss.",
        f"Disk: {PICTURE_BYTES // 1000} kB per picture, every sample once, {KEPT} checkpoints and one being written.",
    )
    for note in filter(None, (*notes, plan.besides)):
        console.print(note)


def new_table(console: Console, title: str, architectures: Sequence[str]) -> Table:
    """An empty table with one column per architecture."""
    table = Table(box=box.ROUNDED if console.is_terminal else box.ASCII, title=title, title_justify="left")
    table.add_column("")
    for name in architectures:
        table.add_column(f"NVLM-{name}", justify="right", min_width=16)
    return table


class Unit(NamedTuple):
    """A unit for all values of a table, and what a thousand of it are."""

    name: str
    size: float
    thousand: str = ""


PARAMETERS = (Unit("billions", 1e9), Unit("millions", 1e6))
TOKENS = (Unit("billion tokens", 1e9), Unit("million tokens", 1e6))
FLOPS = (Unit("TFLOP", 1e12, "PFLOP"), Unit("GFLOP", 1e9, "TFLOP"))
BYTES = (Unit("GiB", 2**30), Unit("MiB", 2**20))


def fitting(units: Sequence[Unit], values: Iterable[float]) -> Unit:
    """The largest unit of which the largest value has at least two."""
    largest = max(values)
    return next((unit for unit in units if largest >= 2 * unit.size), units[-1])


def disk(count: float) -> str:
    """Bytes in the unit that suits them."""
    for unit, size in (("PB", 1e15), ("TB", 1e12), ("GB", 1e9)):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count / 1e6:,.1f} MB"


def duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.2f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:,.1f} h"


def speed(plan: StagePlan) -> float:
    """Samples per second."""
    assert plan.time is not None
    return plan.workload.batch / plan.time.step


def timed(value: Callable[[StagePlan], str]) -> Callable[[StagePlan], str]:
    """The value, where there is a layout to time."""
    return lambda plan: value(plan) if plan.time is not None else "–"


def sample_rows(plans: Sequence[StagePlan]) -> Rows:
    """Size and number of the samples."""

    def tokens(plan: StagePlan) -> int:
        return plan.shape.sequence * plan.workload.samples

    unit = fitting(TOKENS, map(tokens, plans))
    return [
        ("steps x batch", lambda plan: f"{plan.workload.steps:,} x {plan.workload.batch:,}"),
        ("views of a picture", lambda plan: str(plan.shape.views)),
        ("text tokens", lambda plan: f"{plan.workload.text:,}"),
        ("tokens in the sequence", lambda plan: f"{plan.shape.sequence:,}"),
        ("tokens in memory", lambda plan: f"{plan.shape.memory:,}"),
        (f"{unit.name} in sequences", lambda plan: f"{tokens(plan) / unit.size:,.2f}"),
    ]


def flops_rows(plans: Sequence[StagePlan]) -> Rows:
    """FLOPs of a sample by part."""
    unit = fitting(FLOPS, (plan.sample_flops.both for plan in plans))

    def of(part: str) -> Value:
        return lambda plan: f"{plan.flops[part].both / unit.size:,.1f}"

    return [
        *((f"{unit.name} per sample: {part}", of(part)) for part in plans[0].flops),
        (f"{unit.name} per sample: all", lambda plan: f"{plan.sample_flops.both / unit.size:,.1f}"),
        (
            f"{unit.thousand} per step",
            lambda plan: f"{plan.sample_flops.both * plan.workload.batch / unit.size / 1000:,.4g}",
        ),
    ]


def memory_rows(plans: Sequence[StagePlan]) -> Rows:
    """Memory of one GPU by component."""
    unit = fitting(BYTES, (plan.memory.peak for plan in plans))

    def of(size: Callable[[StagePlan], int]) -> Value:
        return lambda plan: f"{size(plan) / unit.size:,.2f}"

    return [
        (f"{unit.name} per GPU: weights", of(lambda plan: plan.memory.weights)),
        ("gradients", of(lambda plan: plan.memory.gradients)),
        ("optimiser", of(lambda plan: plan.memory.optimiser)),
        ("whole layers in use", of(lambda plan: plan.memory.buffers)),
        ("activations, all kept", of(lambda plan: plan.kept)),
        ("activations, recomputed", of(lambda plan: plan.recomputed)),
        ("backward pass of a layer", of(lambda plan: plan.memory.backward)),
        ("logits and loss", of(lambda plan: plan.memory.logits)),
        ("vision encoder at work", of(lambda plan: plan.memory.vision)),
        ("vision features", of(lambda plan: plan.memory.features)),
        (f"{unit.name} per GPU: peak", of(lambda plan: plan.memory.peak)),
    ]


def described(layout: Layout | None) -> str:
    return "none fits" if layout is None else str(layout)


KEEPING: dict[bool, str] = {True: "recomputed", False: "all kept"}
LAYOUT: Rows = [
    ("smallest layout that fits", lambda plan: described(plan.layout)),
    ("activations there", lambda plan: "–" if plan.layout is None else KEEPING[plan.layout.recompute]),
    ("fewest GPUs", lambda plan: "–" if plan.fewest is None else str(plan.fewest.gpus)),
    ("as published", lambda plan: plan.workload.published or "–"),
]
TIME: Rows = [
    ("a step", timed(lambda plan: duration(plan.time.step))),  # type: ignore[union-attr]
    ("samples/s", timed(lambda plan: f"{speed(plan):,.1f}")),
    ("the stage", timed(lambda plan: duration(plan.time.stage))),  # type: ignore[union-attr]
    ("the stage, features stored", timed(lambda plan: duration(plan.time.stage_with_features))),  # type: ignore[union-attr]
]
DISK: Rows = [
    ("disk: shards", lambda plan: disk(plan.disk.shards)),
    ("disk: features of all samples", lambda plan: disk(plan.disk.features)),
    ("disk: checkpoints", lambda plan: disk((KEPT + 1) * plan.disk.checkpoint)),
    ("disk: finished model", lambda plan: disk(plan.disk.export)),
]
