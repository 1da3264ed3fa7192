"""Tensors in, logits out: the model family of the paper on any transformers vision encoder and language model.

Importing this package registers the family with the Auto classes.
"""

from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForImageTextToText
from transformers.distributed.parallel_utils import ALL_PARALLEL_STYLES

from nvlm.modeling.architectures import ARCHITECTURES, Architecture, find_architecture
from nvlm.modeling.config import NVLMConfig
from nvlm.modeling.cross_attention import GatedCrossAttention
from nvlm.modeling.model import NVLMForConditionalGeneration
from nvlm.modeling.tensor_parallel import SHARED_BY_HEADS, TWO_LINEARS, SharedByHeads, TwoLinearsParallel
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
for auto_class in (AutoModelForImageTextToText, AutoModel, AutoModelForCausalLM):  # the last two: NVIDIA's model card
    auto_class.register(NVLMConfig, NVLMForConditionalGeneration, exist_ok=True)
ALL_PARALLEL_STYLES.register(TWO_LINEARS, TwoLinearsParallel())  # type: ignore[arg-type]
ALL_PARALLEL_STYLES.register(SHARED_BY_HEADS, SharedByHeads())  # type: ignore[arg-type]
