"""Borders inside the package: imports point downwards, everything imports, exports are complete, without effects."""

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import nvlm

SOURCE = Path(nvlm.__file__).parent
SOURCES = sorted(SOURCE.rglob("*.py"))

# Lowest first; the names on one line are strangers to each other.
LAYERS = [
    "modeling",
    "processing",
    "data checkpoints planning",
    "inference",
    "training evaluation serving",
    "recipes",
    "cli",
]
HEIGHT = {name: level for level, names in enumerate(LAYERS) for name in names.split()}
FRONT = ("__init__.py", "__main__.py", "_auto.py")  # the package's front door: what the layers below it give out


def module_of(path: Path) -> str:
    """`src/nvlm/data/sample.py` → `nvlm.data.sample`."""
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(path: Path) -> Iterator[str]:
    """Every module of ours that a file imports, wherever in the file; `from nvlm import x` gives `nvlm.x`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "nvlm")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            if node.module == "nvlm":
                yield from (f"nvlm.{alias.name}" for alias in node.names)
            elif (node.module or "").startswith("nvlm."):
                yield str(node.module)


@pytest.mark.parametrize("path", [path for path in SOURCES if path.parent != SOURCE], ids=module_of)
def test_imports_point_downwards(path: Path) -> None:
    here = path.relative_to(SOURCE).parts[0]
    assert here in HEIGHT, f"{here} is no layer yet; give it a place in LAYERS"
    for module in imported_modules(path):
        there = module.split(".")[1] if "." in module else ""
        if there in HEIGHT:
            assert here == there or HEIGHT[there] < HEIGHT[here], f"{here} must not import {there} ({module})"
        else:
            assert here == "cli", f"{here} must not import {module}: the front door imports {here}"


def test_the_front_door_has_three_files() -> None:
    assert sorted(path.name for path in SOURCE.glob("*.py")) == sorted(FRONT)


def test_every_folder_with_code_is_a_package() -> None:
    folders = {path.parent for path in SOURCES}
    assert [
        str(folder.relative_to(SOURCE)) for folder in sorted(folders) if not (folder / "__init__.py").is_file()
    ] == []


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_every_module_imports_and_exports_what_it_lists(path: Path) -> None:
    module = importlib.import_module(module_of(path))
    names = getattr(module, "__all__", [])
    assert len(names) == len(set(names))
    assert [name for name in names if not hasattr(module, name)] == []


def test_the_public_surface() -> None:
    assert set(nvlm.__all__) == {
        "NVLMConfig",
        "NVLMForConditionalGeneration",
        "NVLMImageProcessor",
        "NVLMProcessor",
        "__version__",
        "ask",
        "device_map",
        "load",
        "load_image",
        "tiles",
    }
    assert set(nvlm.__all__) <= set(dir(nvlm))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        nvlm.nothing  # noqa: B018


def run(script: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_nvlm_loads_nothing_heavy() -> None:
    script = "import sys, nvlm; print(sorted({'torch', 'transformers', 'numpy', 'PIL'} & set(sys.modules)))"
    assert run(script) == "[]"


FIRST = {
    "ours first": "import nvlm, transformers",
    "theirs first": "import transformers, nvlm",
    "ours in use": "import nvlm; nvlm.tiles; import transformers",
    "asked where it is": "import nvlm; from importlib.util import find_spec; assert find_spec(it).name == it",
}
KNOWN = """
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING
config = AutoConfig.for_model("nvlm")
assert type(config) is nvlm.NVLMConfig
assert AutoModelForImageTextToText._model_mapping[type(config)] is nvlm.NVLMForConditionalGeneration
assert PROCESSOR_MAPPING[type(config)] is nvlm.NVLMProcessor
"""


def test_the_auto_classes_know_the_family_in_any_order_of_imports() -> None:
    """Each order in a copy of an interpreter that has imported PyTorch, for speed, and nothing of theirs or ours."""
    script = f"""import gc, os, sys, torch
gc.disable()  # which looks through what is imported again and again, in vain
assert not {{"nvlm", "transformers"}} & set(sys.modules)
for name, first in {FIRST!r}.items():
    if not os.fork():
        exec(first + {KNOWN!r}, {{"it": "transformers"}})
        os._exit(0)
    if not os.wait()[1]:
        print(name)
"""
    assert run(script).splitlines() == list(FIRST)


def test_importing_everything_has_no_effects() -> None:
    """No seeding, no environment variables, no loggers, no network; and nothing but the run-time dependencies."""
    modules = [module_of(path) for path in SOURCES]
    script = f"""
import sys
for optional in ("peft", "pytest", "hypothesis", "torchvision", "megatron", "pyarrow"):
    sys.modules[optional] = None
import importlib, logging, os, random, socket
import numpy, rich.table, torch, transformers.modeling_utils  # which have effects of their own
def state():
    kind, keys, *rest = numpy.random.get_state()
    root = logging.getLogger()
    return {{
        "environment": dict(os.environ),
        "random": (random.getstate(), keys.tobytes(), rest, torch.get_rng_state().tolist()),
        "torch": (torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled()),
        "logging": (list(root.handlers), root.level),
    }}
def refuse(*args, **kwargs):
    raise RuntimeError("the network was asked for")
socket.socket.connect = socket.getaddrinfo = refuse
before = state()
for module in {modules!r}:
    importlib.import_module(module)
after = state()
print([name for name in before if before[name] != after[name]])
"""
    assert run(script) == "[]"
