"""Networks that a report has results looked at by, in their published formats and with random weights.

`python tests/eyes.py FOLDER` writes FOLDER/clip, small, and FOLDER/torch, a TORCH_HOME with SqueezeNet in full. It runs
in the perceive stage's environment.
"""

import sys
from pathlib import Path

import torch
from torchvision.models import squeezenet1_1
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer

WORDS = Path(__file__).resolve().parents[1] / "demo/models/diffusion/tokenizer"
LAYERS = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}


def write(folder: Path) -> None:
    torch.manual_seed(0)
    tokenizer = CLIPTokenizer.from_pretrained(WORDS)
    text = LAYERS | {"vocab_size": len(tokenizer), "max_position_embeddings": 16, "projection_dim": 16}
    text |= {"eos_token_id": tokenizer.eos_token_id, "bos_token_id": tokenizer.bos_token_id}
    vision = LAYERS | {"image_size": 32, "patch_size": 8, "projection_dim": 16}
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)
    CLIPModel(config).save_pretrained(folder / "clip")
    sizes = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    CLIPProcessor(CLIPImageProcessor(**sizes), tokenizer).save_pretrained(folder / "clip")
    checkpoints = folder / "torch/hub/checkpoints"
    checkpoints.mkdir(parents=True)
    torch.save(squeezenet1_1().state_dict(), checkpoints / "squeezenet1_1-b8a52dc0.pth")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
