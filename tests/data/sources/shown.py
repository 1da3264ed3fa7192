"""A converted sample as text, for golden files."""

from pathlib import Path

from nvlm.data.original import Original
from nvlm.data.plan import make_plan
from nvlm.data.prompts import Stage
from nvlm.data.sources.families import FAMILIES


def convert(name: str, folder: Path, stage: Stage | None = None) -> list[Original]:
    """All samples of a dataset, as its row in the manifest says."""
    plan = make_plan(name, folder, folder, stage=stage)
    family = FAMILIES[plan.family]
    originals = []
    for row in family.rows(plan.source):
        assert not isinstance(row, ValueError), row
        originals.append(family.sample(row, plan.source))
    return originals


def shown(original: Original, folder: Path) -> str:
    """A sample: its id, its pictures, its turns."""
    pictures = [
        "bytes" if isinstance(each, bytes) else each.relative_to(folder).as_posix() for each in original.pictures
    ]
    lines = [f"id {original.id or '–'}; pictures: {', '.join(pictures) or '–'}"]
    for message in original.messages:
        content = message["content"]
        text = content if isinstance(content, str) else "".join(part.get("text", "<image>") for part in content)
        lines.append(f"{message['role']}: {text}".replace("\n", "\n    "))
    return "\n".join(lines)
