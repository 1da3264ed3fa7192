"""The demo's measurement: several models answer the same questions, one at a time, and are timed."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import torch
from transformers.feature_extraction_utils import BatchFeature

from nvlm.data.showcase import Exhibit
from nvlm.data.synthetic.scoring import is_right
from nvlm.inference.ask import Images, complete, prepare, user_message
from nvlm.modeling import NVLMForConditionalGeneration
from nvlm.processing import NVLMProcessor

MAX_NEW_TOKENS = 48


@dataclass(frozen=True)
class Contestant:
    """A model that takes part."""

    name: str
    model: NVLMForConditionalGeneration
    processor: NVLMProcessor

    @property
    def architecture(self) -> str:
        """`NVLM-D`, `NVLM-X` or `NVLM-H`."""
        return f"NVLM-{self.model.config.architecture}"


@dataclass(frozen=True)
class Answer:
    """What one model answered, and what that took.

    Attributes:
        text: the answer.
        right: is it, or what follows its colon, the truth, but for case, white space and a full stop at the end?
        milliseconds: from picture and question to text, alone in its batch.
        in_sequence, in_memory: image tokens that self-attention and cross-attention read (tags are not counted).
        prompt_tokens: length of the token sequence that the answer continues.
    """

    text: str
    right: bool
    milliseconds: float
    in_sequence: int
    in_memory: int
    prompt_tokens: int


@dataclass(frozen=True)
class Round:
    """One question with every model's answer, in the order of the contestants."""

    exhibit: Exhibit
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class Standing:
    """One model over all rounds. Tokens are medians per picture, `milliseconds` is the median per answer."""

    name: str
    architecture: str
    parameters: int
    right: int
    asked: int
    in_sequence: float
    in_memory: float
    prompt_tokens: float
    milliseconds: float
    wrong: tuple[int, ...]
    """Numbers of the questions it got wrong, from 1."""


def play(
    contestants: Sequence[Contestant], exhibits: Sequence[Exhibit], on_answer: Callable[[], None] = lambda: None
) -> list[Round]:
    """Every contestant answers every question, greedily and one at a time, after one untimed answer to warm up.

    `on_answer` is called after each timed answer.
    """
    for contestant in contestants:
        _answer(contestant, exhibits[0])
    rounds = []
    for exhibit in exhibits:
        answers = []
        for contestant in contestants:
            answers.append(_answer(contestant, exhibit))
            on_answer()
        rounds.append(Round(exhibit, tuple(answers)))
    return rounds


def standings(contestants: Sequence[Contestant], rounds: Sequence[Round]) -> list[Standing]:
    """The summary of the rounds, one line per contestant."""
    return [_standing(contestant, place, rounds) for place, contestant in enumerate(contestants)]


def setting(contestants: Sequence[Contestant]) -> str:
    """Where the times were measured, in words."""
    model = contestants[0].model
    threads = torch.get_num_threads()
    where = (
        f"a CPU with {threads} thread{'s' * (threads > 1)}"
        if model.device.type == "cpu"
        else f"a {model.device.type} device"
    )
    return f"{where}, {str(model.dtype).removeprefix('torch.')}, one question at a time, after a warm-up"


def _answer(contestant: Contestant, exhibit: Exhibit) -> Answer:
    model, processor = contestant.model, contestant.processor
    images: Images = () if exhibit.image is None else [exhibit.image]
    begin = time.perf_counter()
    inputs = prepare(model, processor, [[user_message(exhibit.question, images)]], MAX_NEW_TOKENS)
    text = complete(model, processor, inputs, MAX_NEW_TOKENS)[0]
    milliseconds = 1000 * (time.perf_counter() - begin)
    return Answer(
        text=text,
        right=is_right(text, exhibit.truth),
        milliseconds=milliseconds,
        in_sequence=_views(inputs, "sequence_views") * processor.tokens_per_view,
        in_memory=_views(inputs, "memory_views") * processor.tokens_per_view,
        prompt_tokens=int(inputs["input_ids"].shape[1]),
    )


def _views(inputs: BatchFeature, name: str) -> int:
    return int((inputs[name] >= 0).sum()) if name in inputs else 0


def _standing(contestant: Contestant, place: int, rounds: Sequence[Round]) -> Standing:
    answers = [each.answers[place] for each in rounds]
    pictured = [each.answers[place] for each in rounds if each.exhibit.image is not None] or answers
    return Standing(
        name=contestant.name,
        architecture=contestant.architecture,
        parameters=contestant.model.num_parameters(),
        right=sum(answer.right for answer in answers),
        asked=len(answers),
        in_sequence=median(answer.in_sequence for answer in pictured),
        in_memory=median(answer.in_memory for answer in pictured),
        prompt_tokens=median(answer.prompt_tokens for answer in pictured),
        milliseconds=median(answer.milliseconds for answer in answers),
        wrong=tuple(number for number, answer in enumerate(answers, start=1) if not answer.right),
    )
