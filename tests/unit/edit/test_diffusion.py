"""Checkpoints in diffusers' layout: how they are loaded, where they run, words and latents."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers.image_processor import VaeImageProcessor
from PIL import Image

from clevam import diffusion
from clevam.diffusion import Diffusion, Machine
from clevam.errors import UserError
from conftest import CHECKPOINT

MACHINE = Machine(str(CHECKPOINT), "cpu", 2)


@pytest.fixture(scope="module")
def model() -> Diffusion:
    return Diffusion(MACHINE)


def test_latents_and_pixels_are_on_the_scale_of_diffusers(model):
    rgb = np.random.default_rng(0).integers(0, 256, (64, 128, 3), dtype=np.uint8)
    pictures, scale = VaeImageProcessor(), model.vae.config.scaling_factor
    with torch.no_grad():
        latent = model.vae.encode(pictures.preprocess(Image.fromarray(rgb))).latent_dist.mode() * scale
        (pixels,) = pictures.postprocess(model.vae.decode(latent / scale).sample, output_type="np")
    torch.testing.assert_close(model.to_latent(rgb), latent)
    np.testing.assert_allclose(model.to_pixels(latent), 255 * pixels, atol=1e-2)


# ---- machine and checkpoint ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "missing",
    [
        "model_index.json", "unet", "unet/config.json", "unet/diffusion_pytorch_model.safetensors", "vae",
        "text_encoder", "text_encoder/model.safetensors", "tokenizer", "scheduler",
    ],
)  # fmt: skip
def test_load_refuses_a_checkpoint_with_something_missing(tmp_path, missing):
    folder = shutil.copytree(CHECKPOINT, tmp_path / "model")
    path = folder / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    refused(folder)


@pytest.mark.parametrize(
    "damaged",
    ["model_index.json", "unet/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors"],
)
def test_load_refuses_a_checkpoint_with_half_a_file(tmp_path, damaged):
    path = shutil.copytree(CHECKPOINT, tmp_path / "model") / damaged
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refused(tmp_path / "model")


def test_load_refuses_a_folder_that_is_not_there(tmp_path):
    refused(tmp_path / "nowhere", "no such folder")
    refused(Path("no/such"), "no such folder")  # not the name of a model on the network


def refused(folder: Path, why: str = ".+") -> None:
    message = (
        rf"^models\.diffusion: {folder} cannot be loaded as Stable Diffusion in diffusers' layout: {why}; .*again$"
    )
    with pytest.raises(UserError, match=message) as error:
        diffusion.load(str(folder), torch.float32)
    assert "\n" not in str(error.value)
