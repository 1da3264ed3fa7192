"""This package's models under lmms-eval, which finds them by an entry point: ``lmms_eval --model nvlm``.

For example ``--model_args pretrained=nano-h --tasks chartqa --batch_size 16``.
"""

from collections.abc import Sequence
from typing import Any

from nvlm.data.sample import Message
from nvlm.evaluation.adapters.requests import batches, harness, number, read_settings
from nvlm.evaluation.benchmark import SYSTEM
from nvlm.evaluation.progress import Progress
from nvlm.inference.ask import complete, prepare, user_message
from nvlm.inference.load import load

PACKAGE, NAME = "lmms_eval", "nvlm"
LENGTH = 64
"""Tokens of an answer where a task sets none."""


class HarnessModel:
    """What the harness asks of a model: answers about pictures.

    Args:
        pretrained: a shipped model, a folder, or an id on the hub.
        device, dtype: as of `nvlm.load`.
        batch_size: questions that are asked together.
        system_prompt: the system turn; none where it is empty.
    """

    def __init__(
        self,
        pretrained: str,
        device: str | None = None,
        dtype: str | None = None,
        batch_size: int | str = 16,
        system_prompt: str = SYSTEM,
    ) -> None:
        super().__init__()
        self._batch, self._system = number(batch_size), system_prompt
        self.model, self.processor = load(pretrained, device, dtype)
        self.task_dict: dict[str, Any] = {}

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        """Answers, cut where their task ends them."""
        progress = Progress("answers", len(requests))
        answers: list[str] = []
        progress.begin(0)
        for batch in batches(requests, self._batch, key=lambda request: request.args[1]):
            wanted = read_settings(batch[0].args[1], LENGTH)
            conversations = [self._conversation(request) for request in batch]
            inputs = prepare(self.model, self.processor, conversations, wanted.length)
            texts = complete(self.model, self.processor, inputs, wanted.length, **wanted.options)
            answers += map(wanted.cut, texts)
            progress.update(len(answers))
        progress.close()
        return answers

    def _conversation(self, request: Any) -> list[Message]:
        context, _, pictures_of, document, task, split = request.args
        pictures = pictures_of(self.task_dict[task][split][document])
        asked = user_message(context.replace("<image>", "").strip(), pictures or ())
        return [{"role": "system", "content": self._system}, asked] if self._system else [asked]

    def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
        """Not offered: the tasks of NVLM's benchmarks are answered in words."""
        raise NotImplementedError("nvlm answers in words and gives no likelihoods about pictures; choose another task")

    def generate_until_multi_round(self, requests: Sequence[Any]) -> list[str]:
        """Not offered."""
        raise NotImplementedError("nvlm is asked in one round; choose another task")


def manifest() -> Any:
    """What the entry point gives to the harness."""
    described = harness("lmms_eval.models.registry_v2", PACKAGE).ModelManifest
    return described(model_id=NAME, simple_class_path=f"{__name__}.NVLM")


def __getattr__(name: str) -> Any:
    """``NVLM``, the model as a class of the harness; made when it is asked for, when the harness is there."""
    if name != "NVLM":
        raise AttributeError(f"module {__name__} has no attribute {name!r}")
    return type("NVLM", (HarnessModel, harness("lmms_eval.api.model", PACKAGE).lmms), {})
