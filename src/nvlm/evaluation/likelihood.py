"""How likely a model holds given continuations of a prompt."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nvlm.evaluation.runner import Answer

Tokens = Sequence[int]


class Likelihood(NamedTuple):
    """The natural logarithm of a continuation's probability, and whether it is what the model would write greedily."""

    log: float
    greedy: bool


def log_likelihoods(model: Any, pairs: Sequence[tuple[Tokens, Tokens]]) -> list[Likelihood]:
    """Of each continuation after its context, in one batch; texts that several continuations share are read once.

    Args:
        model: a causal language model, or one of this family without pictures.
        pairs: context and continuation, each of at least one token.
    """
    texts = {(*context, *continuation[:-1]): 0 for context, continuation in pairs}
    rows = {text: number for number, text in enumerate(texts)}
    kept = max(len(continuation) for _, continuation in pairs)
    log_probabilities = _last(model, list(texts), kept)
    found = []
    for context, continuation in pairs:
        told = log_probabilities[rows[(*context, *continuation[:-1])], -len(continuation) :]
        wanted = torch.tensor(continuation, device=told.device)
        log = told.gather(1, wanted[:, None]).sum()
        found.append(Likelihood(float(log), bool((told.argmax(1) == wanted).all())))
    return found


def _last(model: Any, texts: Sequence[Tokens], kept: int) -> Tensor:
    """Logarithms of probabilities (rows, kept, vocabulary) after the last tokens of each text, padded on the left."""
    longest = max(map(len, texts))
    ids = torch.tensor([[0] * (longest - len(text)) + list(text) for text in texts], device=model.device)
    mask = torch.tensor([[0] * (longest - len(text)) + [1] * len(text) for text in texts], device=model.device)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    with torch.inference_mode():
        logits = model(
            input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False, logits_to_keep=kept
        ).logits
    return torch.log_softmax(logits.float(), -1)


def likeliest(model: Any, tokenizer: Any, prompts: Sequence[Tokens], choices: Sequence[str]) -> list[Answer]:
    """The likeliest choice after each prompt; of equals the first."""
    continuations = tokenizer(list(choices), add_special_tokens=False)["input_ids"]
    told = iter(log_likelihoods(model, [(prompt, each) for prompt in prompts for each in continuations]))
    answers = []
    for _ in prompts:
        logs = {choice: next(told).log for choice in choices}
        best = max(logs, key=lambda choice: logs[choice])
        rounded = {choice: round(log, 4) for choice, log in logs.items()}
        answers.append(Answer(best, len(continuations[choices.index(best)]), rounded))
    return answers
