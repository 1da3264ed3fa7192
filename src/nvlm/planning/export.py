"""A plan as JSON: every number of the tables and what they rest on, in bytes, FLOPs and seconds."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nvlm.planning.plan import Plan
from nvlm.planning.stage import StagePlan

__all__ = ["write_json"]


def write_json(path: Path, plan: Plan) -> None:
    """Write everything to a file."""
    content = {
        "recipe": plan.name,
        "gpus": plan.gpus,
        "gpu": asdict(plan.gpu),
        "rate": asdict(plan.rate),
        "recipes": {name: asdict(recipe) for name, recipe in plan.recipes.items()},
        "stages": {
            name: {stage.workload.name: numbers(stage) for stage in stages} for name, stages in plan.stages.items()
        },
        "besides": plan.besides,
        "measured": {name: asdict(comparison) for name, comparison in plan.comparisons.items()},
    }
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")


def numbers(stage: StagePlan) -> dict[str, Any]:
    """One stage: its fields, and the sums that the tables show."""
    sums = {
        "shape": stage.shape._asdict(),
        "sample_flops": stage.sample_flops.both,
        "step_flops": stage.sample_flops.both * stage.workload.batch,
        "tokens": stage.shape.sequence * stage.workload.samples,
        "peak_memory": stage.memory.peak,
    }
    return asdict(stage) | sums
