"""This package's models under lm-evaluation-harness: ``python -m nvlm.evaluation.adapters.lm_eval_model run …``.

What follows are the harness's own arguments, such as
``--model nvlm --model_args pretrained=nano-h --tasks gsm8k --apply_chat_template --batch_size 16``.
"""

from collections.abc import Sequence
from typing import Any

from transformers.feature_extraction_utils import BatchFeature

from nvlm.evaluation.adapters.requests import batches, harness, number, read_settings
from nvlm.evaluation.likelihood import Tokens, log_likelihoods
from nvlm.evaluation.progress import Progress
from nvlm.inference.ask import context_length, write
from nvlm.inference.load import load

PACKAGE, NAME = "lm_eval", "nvlm"
LENGTH = 256
"""Tokens of an answer where a task sets none: the harness's own default."""

Scored = tuple[tuple[str, str], Tokens, Tokens]
"""Context and continuation as text, then each as tokens."""


class HarnessModel:
    """What the harness asks of a model: likelihoods and answers, in text alone.

    Args:
        pretrained: a shipped model, a folder, or an id on the hub.
        device, dtype: as of `nvlm.load`.
        batch_size: requests that are run together.
    """

    def __init__(
        self, pretrained: str, device: str | None = None, dtype: str | None = None, batch_size: int | str = 16
    ) -> None:
        super().__init__()
        self._batch = number(batch_size)
        self.model, self.processor = load(pretrained, device, dtype)
        self.tokenizer = self.processor.tokenizer
        self._name = pretrained
        self.max_length = context_length(self.model, self.processor)

    @property
    def tokenizer_name(self) -> str:
        """What the harness calls the tokenizer in its cache."""
        return self._name

    @property
    def eot_token_id(self) -> int:
        """The token that ends a text."""
        return int(self.tokenizer.eos_token_id)

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: object) -> list[int]:
        """A text as tokens; special ones that it holds are taken as such."""
        ids: list[int] = self.tokenizer(string, add_special_tokens=bool(add_special_tokens))["input_ids"]
        return ids

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """A conversation as a prompt."""
        text: str = self.processor.apply_chat_template(
            chat_history,
            add_generation_prompt=add_generation_prompt,
            continue_final_message=not add_generation_prompt,
        )
        return text

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        """The template itself, which the harness notes beside its results."""
        return str(self.processor.chat_template) if chat_template else None

    def _loglikelihood_tokens(
        self, requests: Sequence[Scored], disable_tqdm: bool = False, **_: object
    ) -> list[tuple[float, bool]]:
        progress = Progress("likelihoods", len(requests), quiet=disable_tqdm)
        found: list[tuple[float, bool]] = []
        progress.begin(0)
        for batch in batches(requests, self._batch):
            self._check_length(max(len(context) + len(continuation) - 1 for _, context, continuation in batch))
            found += log_likelihoods(self.model, [(context, continuation) for _, context, continuation in batch])
            progress.update(len(found))
        progress.close()
        return found

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """The likelihood of whole texts, in pieces where one is longer than the context."""
        utils = harness("lm_eval.utils", PACKAGE)
        found = []
        for (text,) in (request.args for request in requests):
            windows = utils.get_rolling_token_windows(
                token_list=self.tok_encode(text),
                prefix_token=self.eot_token_id,
                max_seq_len=self.max_length,
                context_len=1,
            )
            pieces = [(("", ""), *utils.make_disjoint_window(window)) for window in windows]
            found.append(sum(log for log, _ in self._loglikelihood_tokens(pieces, disable_tqdm=True)))
        return found

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """Answers, cut where their task ends them."""
        progress = Progress("answers", len(requests), quiet=disable_tqdm)
        answers: list[str] = []
        progress.begin(0)
        for batch in batches(requests, self._batch, key=lambda request: request.args[1]):
            answers += self._write([request.args[0] for request in batch], batch[0].args[1])
            progress.update(len(answers))
        progress.close()
        return answers

    def _write(self, prompts: Sequence[str], settings: dict[str, Any]) -> list[str]:
        wanted = read_settings(settings, LENGTH)
        inputs = self.tokenizer(
            list(prompts), add_special_tokens=False, padding=True, padding_side="left", return_tensors="pt"
        )
        self._check_length(inputs["input_ids"].shape[1] + wanted.length)
        batch = BatchFeature({name: inputs[name] for name in ("input_ids", "attention_mask")}).to(self.model.device)
        written = write(self.model, self.processor, batch, wanted.length, **wanted.options)
        return [wanted.cut(text) for text in self.tokenizer.batch_decode(written, skip_special_tokens=True)]

    def _check_length(self, tokens: int) -> None:
        if tokens > self.max_length:
            raise ValueError(
                f"a request has {tokens:,} tokens with its answer, but only {self.max_length:,} fit, and nothing is "
                "cut off here: fewer examples (--num_fewshot) or shorter answers (--gen_kwargs max_gen_toks=…) fit"
            )


def register() -> Any:
    """Make the harness know the model as ``nvlm``; gives the class."""
    base = harness("lm_eval.api.model", PACKAGE).TemplateLM
    kind = type("NVLM", (HarnessModel, base), {})
    return harness("lm_eval.api.registry", PACKAGE).register_model(NAME)(kind)


def main() -> None:
    """The harness's own command line, where ``--model nvlm`` is known."""
    register()
    harness("lm_eval.__main__", PACKAGE).cli_evaluate()


if __name__ == "__main__":
    main()
