"""The painter that is shipped in demo/models: small, in stock diffusers' layout, and trained."""

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline

from probe import judge
from things import Look
from train_vae import quality

MODELS = Path(__file__).parents[3] / "demo" / "models"


@pytest.fixture(scope="module")
def pipeline() -> StableDiffusionPipeline:
    pipeline = StableDiffusionPipeline.from_pretrained(MODELS / "diffusion")
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def test_all_shipped_weights_have_40_megabytes_at_most():
    weights = [path for path in MODELS.rglob("*") if path.suffix in {".safetensors", ".pth"}]
    assert len(weights) == 5
    assert sum(path.stat().st_size for path in weights) <= 40e6


def test_the_vae_gives_pictures_back(pipeline):
    assert quality(pipeline.vae, range(900_400, 900_408))[0] > 30


def test_it_draws_the_colour_and_the_background_that_words_ask_for(pipeline):
    asked = [("red", "grass", "on grass"), ("yellow", "sea", "on the sea"), ("blue", "sand", "on sand")] * 3
    noise = [torch.Generator().manual_seed(seed) for seed in range(len(asked))]
    captions = [f"a {colour} circle {place}" for colour, _, place in asked]
    drawn = pipeline(captions, num_inference_steps=12, guidance_scale=4.0, generator=noise).images
    looks = [(Look("circle", colour), kind) for colour, kind, _ in asked]
    right = [judge(np.array(image), *look) for image, look in zip(drawn, looks, strict=True)]
    assert sum(each["colour"] for each in right) >= 7
    assert sum(each["background"] for each in right) >= 7
