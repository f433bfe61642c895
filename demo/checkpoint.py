"""The demo's Stable Diffusion as a folder of the real one's layout: what its parts share, and how it is written."""

import json
import shutil
from pathlib import Path

from diffusers import DDIMScheduler, StableDiffusionPipeline
from transformers import CLIPTextConfig, CLIPTokenizer

TEXT_LENGTH = 77  # tokens
VOLATILE = ("_diffusers_version", "transformers_version", "_name_or_path")


def text_config(tokenizer: CLIPTokenizer, width: int, inner: int, layers: int) -> CLIPTextConfig:
    """SD 1.5's text encoder with other sizes: of a word, inside of a layer, and how many layers."""
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=inner,
        projection_dim=width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        max_position_embeddings=TEXT_LENGTH,
        hidden_act="quick_gelu",
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def make_scheduler(prediction: str = "epsilon") -> DDIMScheduler:
    """Stable Diffusion's noise schedule; 1.5 predicts the noise ("epsilon"), 2.1 a velocity ("v_prediction")."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type=prediction,
    )


def save(pipeline: StableDiffusionPipeline, out: Path) -> None:
    """Write the folder under another name first, so that `out` is never half a model."""
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    pipeline.save_pretrained(partial)
    save_vocabulary(partial / "tokenizer")
    for path in partial.rglob("*.json"):
        strip(path)
    shutil.rmtree(out, ignore_errors=True)
    partial.rename(out)


def save_vocabulary(folder: Path) -> None:
    """The two files of SD 1.5's tokenizer, for readers that do not know `tokenizer.json`."""
    model = json.loads((folder / "tokenizer.json").read_text())["model"]
    (folder / "vocab.json").write_text(json.dumps(model["vocab"], ensure_ascii=False))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *map(" ".join, model["merges"]), ""]))


def strip(path: Path) -> None:
    """Drop what depends on the machine and not on the seed: library versions and paths."""
    content = json.loads(path.read_text())
    kept = {key: value for key, value in content.items() if key not in VOLATILE}
    if "dtype" in kept:  # else transformers loads the text encoder in half, and diffusers the rest in full
        kept["dtype"] = "float32"
    path.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n")
