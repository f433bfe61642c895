"""Checkpoints in diffusers' layout: how they are loaded, where they run, words and latents."""

import json
import pickle
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


class Trap:
    """A pickle of this writes a file when it is loaded as one."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize("weights", ["unet/diffusion_pytorch_model", "text_encoder/model"])
@pytest.mark.parametrize("write", [torch.save, lambda trap, path: path.write_bytes(pickle.dumps(trap, 2))])
def test_weights_with_code_in_them_are_refused_and_not_run(tmp_path, weights, write):
    folder = shutil.copytree(CHECKPOINT, tmp_path / "model")
    (folder / f"{weights}.safetensors").unlink()
    write({"weight": Trap(tmp_path / "sprung")}, folder / f"{weights.replace('/model', '/pytorch_model')}.bin")
    refused(folder)
    assert not (tmp_path / "sprung").exists()


def test_a_pipeline_of_another_class_is_refused(tmp_path):
    folder = shutil.copytree(CHECKPOINT, tmp_path / "model")
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"_class_name": "FluxPipeline"}))
    refused(folder, "it is a FluxPipeline; built in are .*")


def test_a_network_that_brings_code_of_its_own_is_refused_and_not_run(tmp_path):
    folder = shutil.copytree(CHECKPOINT, tmp_path / "model")
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"unet": ["own", "Network"]}))
    code = f"open({str(tmp_path / 'sprung')!r}, 'w')\nclass Network:\n    pass\n"
    for place in (folder / "own.py", folder / "unet" / "own.py"):
        place.write_text(code)
    refused(folder)
    assert not (tmp_path / "sprung").exists()


def refused(folder: Path, why: str = ".+") -> None:
    message = (
        rf"^models\.diffusion: {folder} cannot be loaded as Stable Diffusion in diffusers' layout: {why}; .*again$"
    )
    with pytest.raises(UserError, match=message) as error:
        diffusion.load(str(folder), torch.float32)
    assert "\n" not in str(error.value)
