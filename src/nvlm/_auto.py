"""The family in transformers' Auto classes after `import nvlm`, without paying for transformers before it is used.

`nvlm.modeling`, `nvlm.processing` and `nvlm.checkpoints` register their classes when they are imported, which takes
seconds because they need PyTorch. `nvlm --help` should not wait for that, and `AutoModelForImageTextToText` should know
the family all the same. So: if transformers is there already, register now; if not, as soon as somebody has imported
it.
See `docs/decisions/0009-light-import.md`.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ["register_with_transformers"]

REGISTERING = ("nvlm.modeling", "nvlm.processing", "nvlm.checkpoints")


def register_with_transformers() -> None:
    """Register now or, where transformers is not imported yet, right after it is."""
    if "transformers" in sys.modules:
        _register()
    elif not any(isinstance(finder, _AfterTransformers) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterTransformers())


def _register() -> None:
    for package in REGISTERING:
        import_module(package)
    family: Any = import_module("nvlm.modeling.model")
    family.NVLMForConditionalGeneration.chat = _OnFirstUse("nvlm.inference.model_card", "chat")


class _OnFirstUse:
    """A method from a layer above its class, which therefore cannot import it; the front door knows both.

    The first look at it imports its module and leaves the function itself in the class.
    See `docs/decisions/0025-chat-from-above.md`.
    """

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __get__(self, instance: Any, owner: type) -> Any:
        setattr(owner, self.name, getattr(import_module(self.module), self.name))
        return getattr(owner if instance is None else instance, self.name)


class _AfterTransformers(MetaPathFinder):
    """Finds nothing of its own: lets the other finders find transformers, and registers once it has been executed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec that the other finders give, which also registers; None for every other module."""
        if fullname != "transformers":
            return None
        others = [finder for finder in sys.meta_path if finder is not self]
        found = (finder.find_spec(fullname, path, target) for finder in others)
        spec = next((spec for spec in found if spec is not None), None)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_and_register(module: ModuleType) -> None:
            execute(module)
            if self in sys.meta_path:
                sys.meta_path.remove(self)
                _register()

        # on this one loader only; it stays the object that transformers and importlib.resources ask for files
        spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec
