"""A conversation of several turns about any number of pictures, whose replies arrive piece by piece."""

import threading
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from transformers import StoppingCriteria, StoppingCriteriaList, TextIteratorStreamer

from nvlm.data.sample import Message
from nvlm.inference.ask import MAX_NEW_TOKENS, Images, generation_settings, prepare, user_message
from nvlm.modeling import NVLMForConditionalGeneration
from nvlm.processing import NVLMProcessor


class Conversation:
    """What was said so far, and how to go on.

    >>> conversation = Conversation(model, processor)                       # doctest: +SKIP
    >>> for piece in conversation.say("What is the total?", ["receipt.png"]):  # doctest: +SKIP
    ...     print(piece, end="")

    Args:
        model, processor: as `load` gives them.
        max_new_tokens: most tokens of one reply.
        options: of `generate`; greedy where none asks for sampling.

    Raises:
        ValueError: options that are not understood.
    """

    def __init__(
        self,
        model: NVLMForConditionalGeneration,
        processor: NVLMProcessor,
        max_new_tokens: int = MAX_NEW_TOKENS,
        **options: Any,
    ) -> None:
        self.model = model
        self.processor = processor
        self.max_new_tokens = max_new_tokens
        self.messages: list[Message] = []
        self._settings = generation_settings(model, processor, max_new_tokens, **options)

    def say(self, question: str, images: Images = ()) -> Generator[str]:
        """Ask, and give the reply as it is written.

        When the iterator is closed early, or interrupted, the model stops and what it has said stays in the
        conversation. A turn that fails, or is stopped before its first word, leaves no trace.

        Raises:
            ImageError: a picture that cannot be used.
            ValueError: an empty question, or a conversation that leaves no room for the reply.
        """
        asked = user_message(question, images)
        inputs = prepare(self.model, self.processor, [[*self.messages, asked]], self.max_new_tokens)
        reply = _Reply(self.model, self.processor, dict(inputs) | self._settings)
        said: list[str] = []
        try:
            for piece in reply:
                said.append(piece)
                yield piece
        finally:
            reply.stop()
            if reply.finished or "".join(said).strip():
                self.messages += [asked, {"role": "assistant", "content": "".join(said).strip()}]

    def reset(self) -> None:
        """Forget everything that was said and shown."""
        self.messages.clear()


class _Reply:
    """One run of `generate` in a thread of its own; iterating gives its text."""

    def __init__(self, model: NVLMForConditionalGeneration, processor: NVLMProcessor, inputs: dict[str, Any]) -> None:
        self.finished = False
        self._stopped = threading.Event()
        self._streamer: Any = TextIteratorStreamer(processor.tokenizer, skip_prompt=True, skip_special_tokens=True)
        self._thread = ThreadPoolExecutor(1, "nvlm-reply")
        self._run = self._thread.submit(self._generate, model, inputs)

    def __iter__(self) -> Iterator[str]:
        yield from (piece for piece in self._streamer if piece)
        self._run.result()
        self.finished = not self._stopped.is_set()

    def stop(self) -> None:
        """Let the model stop after the token it is at, and wait for that."""
        self._stopped.set()
        self._thread.shutdown()

    def _generate(self, model: NVLMForConditionalGeneration, inputs: dict[str, Any]) -> None:
        stop = StoppingCriteriaList([_Stop(self._stopped)])
        try:
            with torch.inference_mode():
                model.generate(**inputs, streamer=self._streamer, stopping_criteria=stop)  # type: ignore[misc]
        finally:
            # Also after an error, or whoever reads the stream would wait for ever.
            self._streamer.end()


class _Stop(StoppingCriteria):
    """Ends generation once an event is set."""

    def __init__(self, event: threading.Event) -> None:
        self._event = event

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor, **kwargs: Any) -> torch.BoolTensor:
        stop = torch.full((input_ids.shape[0],), self._event.is_set(), dtype=torch.bool, device=input_ids.device)
        result: torch.BoolTensor = stop  # type: ignore[assignment]
        return result
