"""The paper's vision encoder, frozen in every stage of every model (section 4.1)."""

from nvlm.recipes.recipe import Backbone

INTERNVIT_6B = Backbone(
    weights="OpenGVLab/InternViT-6B-448px-V1-5",
    model_type="internvl_vision",
    values={
        "hidden_size": 3200,
        "num_hidden_layers": 45,
        "num_attention_heads": 25,
        "intermediate_size": 12800,
        "image_size": [448, 448],
        "patch_size": [14, 14],
        "use_qk_norm": True,
        "norm_type": "rms_norm",
        "layer_norm_eps": 1e-6,
        "layer_scale_init_value": 0.1,
        "attention_bias": False,
        "use_mean_pooling": True,
    },
)
