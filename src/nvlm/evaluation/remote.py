"""A model behind an OpenAI-compatible address, in place of one that is loaded here."""

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from nvlm.data.pages import png_uri
from nvlm.data.sample import Message
from nvlm.evaluation.benchmark import Benchmark, Question, to_messages
from nvlm.evaluation.runner import Answer
from nvlm.processing.images import load_image

KEY_VARIABLE = "OPENAI_API_KEY"
TRIES = 5
PASSING = (408, 429, 500, 502, 503, 504)
"""HTTP errors that may go away."""


def is_address(model: str) -> bool:
    """Is this an address and not a folder?"""
    return model.startswith(("http://", "https://"))


class RemoteModel:
    """A chat model at ``{address}/chat/completions``; a batch is asked at once.

    Args:
        address: up to and with the version, such as ``http://localhost:8000/v1``.
        name: of the model, as the server calls it.
        timeout: seconds to wait for one answer.
        pause: seconds before the second try; each further one waits twice as long.

    The key, where the server wants one, is taken from the environment variable ``OPENAI_API_KEY``.
    """

    def __init__(self, address: str, name: str, timeout: float = 600.0, pause: float = 1.0) -> None:
        self.address, self.name, self._timeout, self._pause = address.rstrip("/"), name, timeout, pause

    def __call__(self, questions: Sequence[Question], benchmark: Benchmark) -> list[Answer]:
        """Answers, at temperature 0.

        Raises:
            ValueError: the server refuses a question.
            OSError: the server cannot be reached, or fails again and again.
        """
        with ThreadPoolExecutor(max(1, len(questions))) as threads:
            return list(threads.map(lambda question: self._answer(question, benchmark), questions))

    def ask(self, prompt: str, max_tokens: int = 256) -> str:
        """The answer to a prompt without pictures."""
        return self._complete([{"role": "user", "content": prompt}], max_tokens).text

    def _answer(self, question: Question, benchmark: Benchmark) -> Answer:
        messages = [_with_urls(message) for message in to_messages(question, benchmark.system)]
        return self._complete(messages, benchmark.max_new_tokens)

    def _complete(self, messages: list[Message], max_tokens: int) -> Answer:
        body = {"model": self.name, "messages": messages, "max_tokens": max_tokens, "temperature": 0}
        reply = self._post("/chat/completions", body)
        try:
            text = reply["choices"][0]["message"]["content"]
            return Answer((text or "").strip(), int((reply.get("usage") or {}).get("completion_tokens") or 0))
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise OSError(f"{self.address} answers in another form than OpenAI's: {str(reply)[:200]}") from error

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(KEY_VARIABLE):
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(self.address + path, json.dumps(body).encode(), headers)
        for tried in range(1, TRIES + 1):
            try:
                with urllib.request.urlopen(request, timeout=self._timeout) as reply:
                    return json.load(reply)
            except urllib.error.HTTPError as error:
                said = error.read(500).decode(errors="replace")
                if error.code not in PASSING:
                    raise _refusal(self.address, error.code, said) from error
                fault = f"HTTP {error.code}: {said}"
            except (OSError, json.JSONDecodeError) as error:
                fault = str(error)
            if tried < TRIES:
                time.sleep(self._pause * 2 ** (tried - 1))
        raise OSError(f"{self.address} did not answer in {TRIES} tries ({fault}); is the server running?")


def _refusal(address: str, code: int, said: str) -> ValueError | OSError:
    """A question that is refused is one thing; an address, a name or a key that is wrong concerns all of them."""
    message = f"{address} refuses (HTTP {code}): {' '.join(said.split())}"
    return ValueError(message) if code in (400, 413, 415, 422) else OSError(message)


def _with_urls(message: Message) -> Message:
    """The message with its pictures as data addresses, upright and in RGB."""
    if isinstance(message["content"], str):
        return message
    return {**message, "content": [_part(part) for part in message["content"]]}


def _part(part: dict[str, Any]) -> dict[str, Any]:
    if part["type"] != "image":
        return part
    return {"type": "image_url", "image_url": {"url": png_uri(load_image(part["image"]), optimize=False)}}
