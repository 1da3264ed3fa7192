"""`--set a.b=c`: change one value of a recipe by its dotted name."""

import ast
from dataclasses import fields, is_dataclass, replace
from difflib import get_close_matches
from typing import Any, TypeVar

Recipe = TypeVar("Recipe")


def override(recipe: Recipe, assignment: str) -> Recipe:
    """The recipe with one value changed, as in ``sft.steps=50``.

    Raises:
        ValueError: no such name (the nearest is offered), or a value of another type.
    """
    name, equals, text = assignment.partition("=")
    if not equals:
        raise ValueError(f"--set takes name=value, as in sft.steps=50, not {assignment!r}")
    changed: Recipe = _set(recipe, name.strip().split("."), text.strip(), name.strip())
    return changed


def _set(owner: Any, path: list[str], text: str, whole: str) -> Any:
    names = [field.name for field in fields(owner)]
    if path[0] not in names:
        near = get_close_matches(path[0], names, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
        raise ValueError(f"the recipe has no {whole!r}: {hint}")
    old = getattr(owner, path[0])
    if len(path) > 1:
        if not is_dataclass(old):
            raise ValueError(f"the recipe has no {whole!r}: {path[0]} is a single value, {old!r}")
        return replace(owner, **{path[0]: _set(old, path[1:], text, whole)})
    if is_dataclass(old):
        raise ValueError(
            f"{whole} is a group; set one of {', '.join(f'{whole}.{field.name}' for field in fields(old))}"
        )
    return replace(owner, **{path[0]: _value(old, text, whole)})


def _value(old: Any, text: str, whole: str) -> Any:
    if isinstance(old, str):
        return text
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        raise ValueError(f"{whole}={text} is not a value like {old!r}") from None
    if isinstance(old, float) and isinstance(value, int):
        value = float(value)
    if type(value) is not type(old):
        raise ValueError(f"{whole} is {old!r}, a {type(old).__name__}; {text} is a {type(value).__name__}")
    return value
