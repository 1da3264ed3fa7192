"""Checkpoints in and out: the layout in which NVIDIA published NVLM-D-72B, and ours.

Importing this package makes NVIDIA's layout known to `from_pretrained`: to this family's classes and to transformers'
Auto classes. Nothing of NVIDIA's code is run.
"""

from transformers import AutoConfig

from nvlm.checkpoints.conversions import register_conversions
from nvlm.checkpoints.published_config import MODEL_TYPE, PublishedConfig, own_dict, published_processor
from nvlm.modeling.layouts import LAYOUTS, Layout

LAYOUTS[MODEL_TYPE] = Layout(own_dict, published_processor)
AutoConfig.register(MODEL_TYPE, PublishedConfig, exist_ok=True)
register_conversions()
