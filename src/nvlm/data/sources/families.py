"""Every converter by name: the table that the manifest's rows and ``--format`` refer to."""

from collections.abc import Mapping

from nvlm.data.sources import (
    ai2d,
    cauldron,
    coco,
    donut,
    flat,
    folder,
    funsd,
    img2dataset,
    instruct,
    jsonl,
    llava,
    ocrvqa,
    quads,
    rendered,
    scene_text,
    scienceqa,
    sroie,
    tabmwp,
    visual7w,
    visual_genome,
    vqa,
)
from nvlm.data.sources.source import Family

FAMILIES: Mapping[str, Family] = {
    "ai2d": ai2d,
    "cauldron": cauldron,
    "coco": coco,
    "donut": donut,
    "flat": flat,
    "folder": folder,
    "funsd": funsd,
    "img2dataset": img2dataset,
    "instruct": instruct,
    "jsonl": jsonl,
    "llava": llava,
    "ocrvqa": ocrvqa,
    "quads": quads,
    "rendered": rendered,
    "scene_text": scene_text,
    "scienceqa": scienceqa,
    "sroie": sroie,
    "tabmwp": tabmwp,
    "visual7w": visual7w,
    "visual_genome": visual_genome,
    "vqa": vqa,
}

GENERIC = ("jsonl", "folder", "llava", "cauldron")
"""The formats that need no row in the manifest."""
