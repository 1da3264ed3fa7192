"""Change values of a recipe by their dotted names: ``--set a.b=c``, or a YAML file with the same names."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import yaml  # type: ignore[import-untyped]

Recipe = TypeVar("Recipe")


def changed(recipe: Recipe, file: Path | None, assignments: Iterable[str]) -> Recipe:
    """The recipe with the values of a YAML file, if there is one, and then those of the assignments.

    Raises:
        ValueError, OSError: as `override` and `override_from_file`.
    """
    if file is not None:
        recipe = override_from_file(recipe, file)
    for assignment in assignments:
        recipe = override(recipe, assignment)
    return recipe


def override(recipe: Recipe, assignment: str) -> Recipe:
    """The recipe with one value changed, as in ``sft.steps=50``.

    Raises:
        ValueError: no such name (the nearest is offered), or a value of another type.
    """
    name, equals, text = assignment.partition("=")
    if not equals:
        raise ValueError(f"--set takes name=value, as in sft.steps=50, not {assignment!r}")
    made: Recipe = _set(recipe, name.strip().split("."), text.strip(), name.strip())
    return made


def override_from_file(recipe: Recipe, path: Path) -> Recipe:
    """The recipe with the values of a YAML file, which is nested as the recipe is.

    Raises:
        ValueError: a file that is no YAML mapping, and whatever ``override`` refuses.
        OSError: a file that cannot be read.
    """
    try:
        read = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML: {error}") from error
    if not isinstance(read, Mapping):
        raise ValueError(f"{path} holds {'nothing' if read is None else type(read).__name__}, not names and values")
    for names, value in _leaves(read):
        try:
            recipe = _set(recipe, list(names), value, ".".join(names))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
    return recipe


def _leaves(values: Mapping[Any, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value with the names that lead to it; a name may be dotted itself."""
    for name, value in values.items():
        names = (*above, *str(name).split("."))
        if isinstance(value, Mapping):
            yield from _leaves(value, names)
        else:
            yield names, value


def _set(owner: Any, path: list[str], value: Any, whole: str) -> Any:
    held = _held(owner)
    if path[0] not in held:
        near = get_close_matches(path[0], held, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(held)}"
        raise ValueError(f"the recipe has no {whole!r}: {hint}")
    old = held[path[0]]
    if len(path) > 1:
        if not _held(old):
            raise ValueError(f"the recipe has no {whole!r}: {path[0]} is a single value, {old!r}")
        new = _set(old, path[1:], value, whole)
    elif inside := _held(old):
        raise ValueError(f"{whole} is a group; set one of {', '.join(f'{whole}.{name}' for name in inside)}")
    else:
        new = _value(old, value, whole)
    return {**owner, path[0]: new} if isinstance(owner, dict) else replace(owner, **{path[0]: new})


def _held(owner: Any) -> dict[str, Any]:
    """What a group holds, by name; nothing where it is a single value."""
    if isinstance(owner, dict):
        return owner
    return {field.name: getattr(owner, field.name) for field in fields(owner)} if is_dataclass(owner) else {}


def _value(old: Any, new: Any, whole: str) -> Any:
    """The new value in the old one's type; text is read as Python writes values."""
    if isinstance(old, str) and isinstance(new, str):
        return new
    value = new
    if isinstance(new, str):
        try:
            value = ast.literal_eval(new)
        except (ValueError, SyntaxError):
            raise ValueError(f"{whole}={new} is not a value like {old!r}") from None
    if isinstance(old, tuple) and isinstance(value, list | tuple):
        return tuple(_value(old[0], each, whole) if old else each for each in value)
    if isinstance(old, float) and type(value) is int:
        value = float(value)
    if type(value) is not type(old):
        raise ValueError(f"{whole} is {old!r}, a {type(old).__name__}; {new} is a {type(value).__name__}")
    return value
