"""Checkpoints of every layout with random weights, at their real sizes or tiny ones, in diffusers' format.

What runs on these runs on the published ones: layers, names, shapes and settings are the same, the pictures are noise.

    <prefix of the edit environment>/bin/python bench/checkpoints.py sdxl FOLDER
"""

import itertools
import json
import sys
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "demo"))

from checkpoint import make_scheduler
from words import ENDS, letters

XL = {
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "addition_embed_type": "text_time",
    "use_linear_projection": True,
}
# The settings of the published networks, as in their config.json
UNETS = {
    "sd15": {"sample_size": 64, "cross_attention_dim": 768},
    "sd15-inpaint": {"sample_size": 64, "cross_attention_dim": 768, "in_channels": 9},
    "sd21": {
        "sample_size": 96, "cross_attention_dim": 1024, "attention_head_dim": [5, 10, 20, 20],
        "use_linear_projection": True, "upcast_attention": True,
    },
    "sdxl": XL | {
        "sample_size": 128, "cross_attention_dim": 2048, "attention_head_dim": [5, 10, 20],
        "block_out_channels": [320, 640, 1280], "transformer_layers_per_block": [1, 2, 10],
        "addition_time_embed_dim": 256, "projection_class_embeddings_input_dim": 2816,
    },
}  # fmt: skip
CLIP_L = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
CLIP_H = {
    "hidden_size": 1024, "num_hidden_layers": 23, "num_attention_heads": 16, "intermediate_size": 4096,
    "hidden_act": "gelu",
}  # fmt: skip
CLIP_G = {
    "hidden_size": 1280, "num_hidden_layers": 32, "num_attention_heads": 20, "intermediate_size": 5120,
    "hidden_act": "gelu", "projection_dim": 1280,
}  # fmt: skip
TEXTS = {"sd15": [CLIP_L], "sd15-inpaint": [CLIP_L], "sd21": [CLIP_H], "sdxl": [CLIP_L, CLIP_G]}
VAE = {
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "layers_per_block": 2,
}
PIPELINES = {
    "sd15": "StableDiffusionPipeline",
    "sd15-inpaint": "StableDiffusionInpaintPipeline",
    "sd21": "StableDiffusionPipeline",
    "sdxl": "StableDiffusionXLPipeline",
}
WORDS = 49408  # tokens of CLIP's vocabulary


def tiny(layout: str) -> tuple[dict, list[dict], dict]:
    """The settings of a layout's network, text encoders and VAE, with a few channels of each."""
    text = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    unet = UNETS[layout] | {"sample_size": 8, "norm_num_groups": 4, "cross_attention_dim": 16, "layers_per_block": 1}
    unet |= {"block_out_channels": [8, 16, 16, 16], "attention_head_dim": 2}
    texts = [text]
    if layout == "sdxl":
        unet |= {"block_out_channels": [8, 16, 16], "transformer_layers_per_block": [1, 1, 2]}
        unet |= {"cross_attention_dim": 32, "addition_time_embed_dim": 4}
        unet |= {"projection_class_embeddings_input_dim": 16 + 6 * 4}
        texts = [text, text | {"projection_dim": 16}]
    return unet, texts, VAE | {"block_out_channels": [8, 8, 8, 8], "layers_per_block": 1, "norm_num_groups": 4}


def write(folder: Path, layout: str, *, full: bool, dtype: torch.dtype = torch.float16, seed: int = 0) -> Path:
    """Write a checkpoint of a layout, part by part, since the largest do not fit into memory twice."""
    unet, texts, vae = (UNETS[layout], TEXTS[layout], VAE) if full else tiny(layout)
    torch.manual_seed(seed)
    index = {"_class_name": PIPELINES[layout], "safety_checker": [None, None], "feature_extractor": [None, None]}
    if layout == "sdxl":
        index = {"_class_name": PIPELINES[layout], "force_zeros_for_empty_prompt": True}
    UNet2DConditionModel(**unet).to(dtype).save_pretrained(folder / "unet")
    xl = {"scaling_factor": 0.13025, "force_upcast": True} if layout == "sdxl" else {"scaling_factor": 0.18215}
    AutoencoderKL(**vae, **xl, latent_channels=4).to(dtype).save_pretrained(folder / "vae")
    tokens = tokenizer_files(WORDS if full else 600)
    for number, text in enumerate(texts, 1):
        suffix = "" if number == 1 else f"_{number}"
        kind = CLIPTextModel if number == 1 else CLIPTextModelWithProjection
        config = CLIPTextConfig(
            vocab_size=len(tokens[0]), bos_token_id=len(tokens[0]) - 2, eos_token_id=len(tokens[0]) - 1, **text
        )
        kind(config).to(dtype).save_pretrained(folder / f"text_encoder{suffix}")
        save_tokenizer(folder / f"tokenizer{suffix}", *tokens)
        index |= {f"text_encoder{suffix}": ["transformers", kind.__name__]}
        index |= {f"tokenizer{suffix}": ["transformers", "CLIPTokenizer"]}
    scheduler = dict(make_scheduler().config) | ({"prediction_type": "v_prediction"} if layout == "sd21" else {})
    DDIMScheduler.from_config(scheduler).save_pretrained(folder / "scheduler")
    index |= {"unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"]}
    index |= {"scheduler": ["diffusers", "DDIMScheduler"]}
    index["_diffusers_version"] = "0.6.0"
    (folder / "model_index.json").write_text(json.dumps(index, indent=1))
    return folder


def tokenizer_files(size: int) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """A vocabulary of `size` tokens and its merges: single bytes, then pairs of them, as many as are needed."""
    single = letters()
    pairs = itertools.product(single[:256], repeat=2)
    merges = list(itertools.islice(pairs, size - len(single) - len(ENDS)))
    tokens = [*single, *("".join(pair) for pair in merges), *ENDS]
    return {token: i for i, token in enumerate(tokens)}, merges


def save_tokenizer(folder: Path, vocab: dict[str, int], merges: list[tuple[str, str]]) -> None:
    CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=77).save_pretrained(folder)


if __name__ == "__main__":
    write(Path(sys.argv[2]), sys.argv[1], full=True)
