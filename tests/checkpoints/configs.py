"""NVIDIA's config.json with the numbers of the 72B."""

from typing import Any

from nvlm.checkpoints.small import small_config


def full_size() -> dict[str, Any]:
    """What config.json of nvidia/NVLM-D-72B says about sizes (InternViT-6B-448px-V1-5 and Qwen2-72B-Instruct)."""
    config = small_config()
    config["force_image_size"] = 448
    config["vision_config"] |= {
        "hidden_size": 3200,
        "image_size": 448,
        "intermediate_size": 12800,
        "num_attention_heads": 25,
        "num_hidden_layers": 45,
    }
    config["llm_config"] |= {
        "bos_token_id": 151643,
        "eos_token_id": 151645,
        "hidden_size": 8192,
        "intermediate_size": 29568,
        "max_position_embeddings": 32768,
        "max_window_layers": 80,
        "num_attention_heads": 64,
        "num_hidden_layers": 80,
        "num_key_value_heads": 8,
        "sliding_window": 131072,
        "vocab_size": 152064,
    }
    return config
