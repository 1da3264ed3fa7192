"""What every HTML page here needs: a strict template, and pictures that travel inside the page."""

import base64
import io
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from PIL import Image

__all__ = ["open_template", "png_uri"]


@cache
def open_template(package: str, name: str, *filters: Callable[..., Any]) -> Template:
    """The Jinja template ``name`` beside the modules of ``package``: escapes, refuses unknown names.

    Args:
        filters: functions that the template may use under their own names.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update({function.__name__: function for function in filters})
    return environment.from_string(files(package).joinpath(name).read_text(encoding="utf-8"))


def png_uri(image: Image.Image, *, optimize: bool = True) -> str:
    """A picture as a data URI; as small as it can be for a page that is kept, or sooner."""
    file = io.BytesIO()
    image.save(file, "PNG", optimize=optimize)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")
