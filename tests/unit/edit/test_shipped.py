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


@pytest.mark.parametrize(("colour", "kind", "place"), [("red", "grass", "on grass"), ("yellow", "sea", "on the sea")])
def test_it_draws_the_colour_and_the_background_that_words_ask_for(pipeline, colour, kind, place):
    noise = [torch.Generator().manual_seed(seed) for seed in range(4)]
    options = {"num_inference_steps": 12, "guidance_scale": 4.0, "generator": noise}
    drawn = pipeline([f"a {colour} circle {place}"] * 4, **options).images
    right = [judge(np.array(image), Look("circle", colour), kind) for image in drawn]
    assert sum(each["colour"] for each in right) >= 3
    assert sum(each["background"] for each in right) >= 3
