"""Asks this package the same questions."""

from pathlib import Path
from typing import Any

import torch
from benchmarks.interop.compare import Answer

import nvlm

__all__ = ["Asked"]


class Asked:
    """A model of ours in float32, ready to be asked."""

    def __init__(self, name_or_folder: str | Path, new_tokens: int) -> None:
        self.model, self.processor = nvlm.load(name_or_folder, device="cpu", dtype="float32")
        self.new_tokens = new_tokens

    @property
    def tile_size(self) -> int:
        """In pixels."""
        return int(self.model.config.tile_size)

    def batch(self, case: dict[str, Any]) -> dict[str, Any]:
        """A case as the model reads it."""
        batch: dict[str, Any] = self.processor.apply_chat_template(
            case["messages"], add_generation_prompt=True, tokenize=True, return_dict=True
        )
        return batch

    def answer(self, batch: dict[str, Any], prompt_ids: list[int] | None = None) -> Answer:
        """The greedy answer; to this prompt, if one is given, in place of the batch's own."""
        if prompt_ids is not None:
            ids = torch.tensor([prompt_ids])
            batch = {**batch, "input_ids": ids, "attention_mask": torch.ones_like(ids)}
        model: Any = self.model
        with torch.inference_mode():
            output = model.generate(
                **batch,
                do_sample=False,
                max_new_tokens=self.new_tokens,
                output_logits=True,
                return_dict_in_generate=True,
            )
        steps = torch.stack(output.logits)[:, 0].float().log_softmax(-1)
        best = steps.topk(2).values
        prompt = batch["input_ids"][0].tolist()
        return Answer(
            prompt_ids=prompt,
            tokens=output.sequences[0, len(prompt) :].tolist(),
            first=steps[0].tolist(),
            margins=(best[:, 0] - best[:, 1]).tolist(),
        )
