"""Models that answer: one of this package, or a bare language model as its baseline."""

import json
import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast
from transformers.feature_extraction_utils import BatchFeature

from nvlm.checkpoints.stored import refuse_pickles
from nvlm.evaluation.benchmark import Benchmark, Question, to_messages
from nvlm.evaluation.likelihood import likeliest
from nvlm.evaluation.runner import Answer
from nvlm.inference.ask import prepare, write
from nvlm.inference.load import MODELS, find_device, find_dtype, quiet
from nvlm.modeling import NVLMForConditionalGeneration
from nvlm.processing import NVLMProcessor
from nvlm.processing.chat import marked, render, special_pattern
from nvlm.processing.settings import find_template

AS_IT_STANDS = ("TokenizersBackend", "PreTrainedTokenizerFast")
"""Names of the class whose file holds all of the tokenizer."""


class LocalModel:
    """A model that was loaded here."""

    def __init__(self, model: NVLMForConditionalGeneration, processor: NVLMProcessor) -> None:
        self.model, self.processor = model, processor

    def __call__(self, questions: Sequence[Question], benchmark: Benchmark) -> list[Answer]:
        """Answers, generated greedily or chosen; questions with the same tile limit in one batch."""
        answers: dict[int, Answer] = {}
        limits = [self._max_tiles(question, benchmark) for question in questions]
        order = sorted(range(len(questions)), key=lambda place: limits[place])
        for limit, places in groupby(order, key=lambda place: limits[place]):
            batch = list(places)
            conversations = [to_messages(questions[place], benchmark.system) for place in batch]
            room = 1 if benchmark.choices else benchmark.max_new_tokens
            inputs = prepare(self.model, self.processor, conversations, room, max_tiles=limit)
            answer = self._choose if benchmark.choices else self._write
            answers |= dict(zip(batch, answer(inputs, benchmark), strict=True))
        return [answers[place] for place in range(len(questions))]

    def _write(self, inputs: BatchFeature, benchmark: Benchmark) -> list[Answer]:
        written = write(self.model, self.processor, inputs, benchmark.max_new_tokens)
        texts = self.processor.post_process_image_text_to_text(written)
        ends = end_tokens(self.model)
        return [Answer(text.strip(), length(row, ends)) for text, row in zip(texts, written, strict=True)]

    def _choose(self, inputs: BatchFeature, benchmark: Benchmark) -> list[Answer]:
        if "pixel_values" in inputs:
            raise ValueError(f"{benchmark.name} shows pictures, and choices are weighed for text alone")
        return likeliest(self.model, self.processor.tokenizer, unpadded(inputs), benchmark.choices)

    def _max_tiles(self, question: Question, benchmark: Benchmark) -> int:
        most: int = self.processor.image_processor.max_tiles
        return max(1, most // max(1, len(question.pictures))) if benchmark.divide_tiles else most


class LanguageModel:
    """A causal language model without pictures, asked with the same chat template as a model of this package.

    Args:
        folder: where it was saved with its tokenizer; see `find_language_model`.

    Raises:
        FileNotFoundError: no such folder, or nothing in it that can be loaded.
        ValueError: weights that are no safetensors, or no chat template.
    """

    def __init__(self, folder: str | Path, device: str | torch.device | None = None) -> None:
        folder = find_language_model(folder)
        place = find_device(device)
        with quiet(not sys.stderr.isatty()):
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                folder, dtype=find_dtype(None, place), use_safetensors=True, local_files_only=True
            )
        self.model = loaded.to(place).eval()
        self.tokenizer = load_tokenizer(folder)
        self._template = find_template(self.tokenizer)
        self._special = special_pattern(())

    def __call__(self, questions: Sequence[Question], benchmark: Benchmark) -> list[Answer]:
        """Answers, generated greedily or chosen."""
        prompts = [self._prompt(question, benchmark) for question in questions]
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        inputs = self.tokenizer(prompts, padding=True, add_special_tokens=False, return_tensors="pt")
        self._check_length(inputs["input_ids"].shape[1], 1 if benchmark.choices else benchmark.max_new_tokens)
        if benchmark.choices:
            return likeliest(self.model, self.tokenizer, unpadded(inputs), benchmark.choices)
        ends = end_tokens(self.model) or {self.tokenizer.eos_token_id}
        with torch.inference_mode():
            output = self.model.generate(
                **{name: inputs[name].to(self.model.device) for name in ("input_ids", "attention_mask")},
                max_new_tokens=benchmark.max_new_tokens,
                do_sample=False,
                eos_token_id=sorted(ends),
                pad_token_id=self.tokenizer.pad_token_id,
            )
        written = output[:, inputs["input_ids"].shape[1] :]
        texts = self.tokenizer.batch_decode(written, skip_special_tokens=True)
        return [Answer(text.strip(), length(row, ends)) for text, row in zip(texts, written, strict=True)]

    def _prompt(self, question: Question, benchmark: Benchmark) -> str:
        if question.pictures:
            raise ValueError(f"{benchmark.name} shows pictures, which a bare language model cannot see")
        messages, _ = marked(to_messages(question, benchmark.system), self._special)
        return render(messages, self._template, self.tokenizer.special_tokens_map, add_generation_prompt=True).text

    def _check_length(self, prompt: int, answer: int) -> None:
        most = getattr(self.model.config, "max_position_embeddings", None)
        if most and prompt + answer > most:
            raise ValueError(f"the prompt has {prompt:,} tokens and the answer {answer:,}, but only {most:,} fit")


def find_language_model(name: str | Path) -> Path:
    """The folder of a saved language model: the name itself, or that of one that comes with the package.

    Raises:
        FileNotFoundError, ValueError: as `LanguageModel`.
    """
    folder = next((each for each in (Path(name), MODELS / name) if (each / "config.json").is_file()), None)
    if folder is None:
        raise FileNotFoundError(f"{name} is no folder with a saved language model (it holds no config.json)")
    refuse_pickles(folder)
    return folder


def unpadded(inputs: Any) -> list[list[int]]:
    """The tokens of each row of a batch."""
    return [ids[mask.bool()].tolist() for ids, mask in zip(inputs["input_ids"], inputs["attention_mask"], strict=True)]


def load_tokenizer(folder: Path) -> Any:
    """A folder's tokenizer, padding on the left.

    The Auto class goes by the model's family: it would rebuild one that was saved as it stands as, say, Qwen2's, and
    cut words where the model never saw them cut.
    """
    note = folder / "tokenizer_config.json"
    saved = json.loads(note.read_text(encoding="utf-8")).get("tokenizer_class") if note.exists() else None
    kind: Any = PreTrainedTokenizerFast if saved in AS_IT_STANDS else AutoTokenizer
    return kind.from_pretrained(folder, padding_side="left", local_files_only=True)


def end_tokens(model: Any) -> set[int]:
    """The tokens that end an answer."""
    ends = model.generation_config.eos_token_id
    return set() if ends is None else set(ends) if isinstance(ends, list) else {ends}


def length(row: Tensor, ends: set[int]) -> int:
    """How many tokens of a generated row were written, the one that ends it included."""
    places = [place for place, token in enumerate(row.tolist()) if token in ends]
    return places[0] + 1 if places else len(row)
