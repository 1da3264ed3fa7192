"""Files of NVIDIA's layout beside config.json, the weights and the tokenizer.

`configuration_nvlm_d.py` is the class that `auto_map` in config.json names. transformers and vLLM run it where they are
allowed to (`trust_remote_code`): vLLM has the model itself, but no class for its configuration. Here it is text: this
package has a reader of its own, and runs nothing out of a model's folder.
"""

from collections.abc import Sequence
from typing import Any

from nvlm.processing.normalise import IMAGENET_MEAN, IMAGENET_STD

__all__ = ["CODE", "CODE_FILE", "preprocessor_config"]

CODE_FILE = "configuration_nvlm_d.py"
CODE = '''\
"""What config.json of an NVLM-D holds, for transformers and vLLM (written by nvlm, Apache-2.0)."""

from transformers import PretrainedConfig, Qwen2Config


class NVLM_D_Config(PretrainedConfig):
    model_type = "NVLM_D"
    has_no_defaults_at_init = True

    def __init__(self, vision_config=None, llm_config=None, **fields):
        super().__init__(**fields)
        self.vision_config = PretrainedConfig(**(vision_config or {}))
        self.text_config = Qwen2Config(**(llm_config or {}))
'''
"""The class: an encoder's settings as they are, a Qwen2, and everything else."""


def preprocessor_config(
    tile_size: int, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD
) -> dict[str, Any]:
    """preprocessor_config.json: how one tile becomes pixels. How many there are is in config.json."""
    return {
        "crop_size": tile_size,
        "do_center_crop": True,
        "do_normalize": True,
        "do_resize": True,
        "feature_extractor_type": "CLIPFeatureExtractor",
        "image_mean": list(mean),
        "image_std": list(std),
        "resample": 3,
        "size": tile_size,
    }
