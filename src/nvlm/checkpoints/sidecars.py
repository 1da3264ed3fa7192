"""The small files beside the weights – configurations, tokenizer, processor – from one layout to the other.

Tokenizer files are taken over as they are. What one layout says where the other has no place for it (that an answer
holds no slots, the class that wrote a file) is added on the way in and taken off on the way out.
"""

import copy
import json
import tempfile
from pathlib import Path
from typing import Any

from nvlm.checkpoints.published_config import published_processor, to_published_config
from nvlm.checkpoints.published_files import CODE, CODE_FILE, preprocessor_config
from nvlm.modeling.config import NVLMConfig
from nvlm.processing.processor import NVLMProcessor
from nvlm.processing.tiling import Grid

__all__ = ["left_out", "notes", "nvidia_files", "own_files"]

TOKENIZER_FILES = (
    "added_tokens.json", "merges.txt", "special_tokens_map.json", "tokenizer.json", "tokenizer.model", "vocab.json",
)  # fmt: skip
TOKENIZER_CONFIG = "tokenizer_config.json"
CONVERTED = ("chat_template.jinja", "config.json", "preprocessor_config.json", "processor_config.json", CODE_FILE)
"""Files whose contents go to others in the other layout."""

TERMS = ("LICENSE", "LICENCE", "NOTICE")
"""Files that begin so say on which terms the weights may be used: they go with them."""


def own_files(source: Path, config: NVLMConfig) -> dict[str, bytes]:
    """The files of this package's layout, by name, for a folder in NVIDIA's.

    Raises:
        ValueError, OSError: the tokenizer cannot be loaded, or lacks what NVLM needs.
    """
    processor = published_processor(source)
    with tempfile.TemporaryDirectory() as folder:
        processor.save_pretrained(folder)
        saved = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    files = {name: saved[name] for name in ("processor_config.json", "chat_template.jinja")}
    files |= _as_they_are(source, (*TOKENIZER_FILES, TOKENIZER_CONFIG))
    if (generation := _read_json(source / "generation_config.json")) is not None:
        never = {*(generation.get("suppress_tokens") or ()), config.image_token_id}
        files["generation_config.json"] = _json(generation | {"suppress_tokens": sorted(never)})
    own = copy.deepcopy(config)
    own.architectures = ["NVLMForConditionalGeneration"]
    return files | {"config.json": own.to_json_string().encode()}


def nvidia_files(source: Path, config: NVLMConfig) -> dict[str, bytes]:
    """The files of NVIDIA's layout, by name, for a folder in this package's.

    Raises:
        ValueError: the model, or its processor, is something that NVIDIA's class and vLLM cannot do.
    """
    processor = NVLMProcessor.from_pretrained(source)
    images = processor.image_processor
    files = {"config.json": _json(to_published_config(config, processor)), CODE_FILE: CODE.encode()}
    files |= _as_they_are(source, TOKENIZER_FILES)
    files[TOKENIZER_CONFIG] = _json(_tokenizer_config(source, str(processor.chat_template)))
    files["preprocessor_config.json"] = _json(preprocessor_config(images.tile_size, images.mean, images.std))
    if (generation := _read_json(source / "generation_config.json")) is not None:
        files["generation_config.json"] = _json(_with_slots(generation, config.image_token_id))
    return files


def notes(source: Path) -> list[str]:
    """What a user of NVIDIA's layout should know about a model of this package's that was written in it."""
    processor = NVLMProcessor.from_pretrained(source)
    if processor.tags_tokenized == "inline":
        return []
    question = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is this?"}]}]
    alone = processor.layout(question, [Grid(2, 1)], supervise=False).input_ids
    processor.tags_tokenized = "inline"
    inline = processor.layout(question, [Grid(2, 1)], supervise=False).input_ids
    if list(alone) == list(inline):
        return []
    return [
        f"this model reads tile tags tokenised alone ({len(alone)} tokens in a prompt with two tiles), but NVIDIA's "
        f"class and vLLM tokenise them with the text around them ({len(inline)} tokens)"
    ]


def left_out(source: Path, files: dict[str, bytes]) -> list[str]:
    """Files in `source` that became none of `files`; weights and hidden files are not counted."""
    here = {path.name for path in source.iterdir() if path.is_file() and not path.name.startswith(".")}
    weights = {name for name in here if name.endswith((".safetensors", ".safetensors.index.json"))}
    return sorted(here - weights - {*files, *CONVERTED})


def _as_they_are(source: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    terms = tuple(path.name for path in source.iterdir() if path.is_file() and path.name.upper().startswith(TERMS))
    return {name: (source / name).read_bytes() for name in (*names, *terms) if (source / name).is_file()}


def _tokenizer_config(source: Path, template: str) -> dict[str, Any]:
    """tokenizer_config.json for programs that know nothing of this package, with the model's own template in it."""
    settings = {**(_read_json(source / TOKENIZER_CONFIG) or {}), "chat_template": template}
    settings.pop("processor_class", None)
    settings.pop("backend", None)
    if settings.get("tokenizer_class") == "TokenizersBackend":
        settings["tokenizer_class"] = "PreTrainedTokenizerFast"  # its name before transformers 5
    return settings


def _with_slots(generation: dict[str, Any], image_token_id: int) -> dict[str, Any]:
    """generation_config.json without the one suppressed token that `own_files` adds."""
    never = [token for token in generation.get("suppress_tokens") or () if token != image_token_id]
    rest = {name: value for name, value in generation.items() if name != "suppress_tokens"}
    return rest | {"suppress_tokens": never} if never else rest


def _read_json(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no readable JSON; was it cut short?") from error
    return content


def _json(content: object) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
