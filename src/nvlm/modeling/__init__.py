"""Tensors in, logits out: the model family of the paper on any transformers vision encoder and language model.

Importing this package registers the family with the Auto classes.
"""

from transformers import AutoConfig, AutoModelForImageTextToText

from nvlm.modeling.architectures import ARCHITECTURES, Architecture, find_architecture
from nvlm.modeling.config import NVLMConfig
from nvlm.modeling.cross_attention import GatedCrossAttention
from nvlm.modeling.model import NVLMForConditionalGeneration
from nvlm.modeling.views import Views

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "GatedCrossAttention",
    "NVLMConfig",
    "NVLMForConditionalGeneration",
    "Views",
    "find_architecture",
]

AutoConfig.register(NVLMConfig.model_type, NVLMConfig, exist_ok=True)
AutoModelForImageTextToText.register(NVLMConfig, NVLMForConditionalGeneration, exist_ok=True)
