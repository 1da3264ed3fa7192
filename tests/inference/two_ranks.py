"""One of the processes of a tensor-parallel group; torchrun starts it. Loads folders, and writes what they answer."""

import json
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from PIL import Image
from safetensors.torch import save_file
from torch.distributed.tensor import DTensor

from nvlm.inference import ask, load
from nvlm.modeling import NVLMForConditionalGeneration
from nvlm.processing import NVLMProcessor

PICTURE = Image.linear_gradient("L").resize((384, 256))
QUESTION = "Read the text."


def answers(model: NVLMForConditionalGeneration, processor: NVLMProcessor) -> tuple[torch.Tensor, str, str]:
    """The logits of a prompt with a picture, the answer to it, and an answer without one."""
    parts = [{"type": "image", "image": PICTURE}, {"type": "text", "text": QUESTION}]
    inputs = processor.apply_chat_template([{"role": "user", "content": parts}], tokenize=True, return_dict=True)
    with torch.no_grad():
        logits = model(**inputs).logits
    with_picture = ask(model, processor, QUESTION, PICTURE, max_new_tokens=5, num_beams=2)
    return logits, with_picture, ask(model, processor, QUESTION, max_new_tokens=5)


def main(target: Path, *folders: str) -> None:
    for folder in folders:
        model, processor = load(folder, dtype="float32", tensor_parallel=2)
        cut = [name for name, tensor in model.named_parameters() if isinstance(tensor, DTensor)]
        logits, *texts = answers(model, processor)
        if dist.get_rank() == 0:
            save_file({"logits": logits.contiguous()}, target / f"{Path(folder).name}.safetensors")
            (target / f"{Path(folder).name}.json").write_text(json.dumps({"texts": texts, "cut": cut}))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
