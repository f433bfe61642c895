"""Train the demo's Stable Diffusion: its UNet, on the latents of train_vae.py and the words of train_text.py.

    python demo/train_diffusion.py [--out demo/models/diffusion] [--minutes 240] [--resume]

Most batches are small close-ups, for a quarter of the cost, in which an object is as large as in a whole picture: its
outline is learnt there, of which few latents would be left in a whole picture made small. Whole pictures come between
them, for what is learnt of the one alone is soon forgotten on the other. Writes a folder that stock diffusers loads.
"""

from __future__ import annotations

import hashlib
import textwrap
from copy import deepcopy
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from PIL import Image, ImageDraw
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPTextModel

import checkpoint
from cache import Cache, Row, filling
from scenery import picture
from train_text import WIDTH, token_ids
from training import Losses, Options, Training, parse
from words import TEXT_LENGTH, make_tokenizer
from world import still

SIDE = 128  # pixels
CELL = 4  # pixels of a latent's side
NEAR = 0.75  # share of batches that are close-ups of half the side, with four times as many pictures in each
OBJECTS = 4  # times as much does the error count where an object is
DROPPED = 0.1  # share of captions that are left empty, for classifier-free guidance
SHOWN = 8  # captions of the sheet that is drawn in the end

# ---- the networks ------------------------------------------------------------------------------------------------


def make_unet() -> UNet2DConditionModel:
    """Stable Diffusion's order of blocks with three levels: 32, 16 and 8 cells wide."""
    return UNet2DConditionModel(
        sample_size=SIDE // CELL,
        down_block_types=["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
        up_block_types=["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
        block_out_channels=[48, 96, 160],
        layers_per_block=1,
        norm_num_groups=16,
        attention_head_dim=[2, 4, 5],  # the number of heads: the name is a slip of diffusers that SD 1.5 carries on
        cross_attention_dim=WIDTH,
    )


class Painter(nn.Module):
    """The network that is trained, and the one that reads for it and stays as it is."""

    def __init__(self, unet: UNet2DConditionModel, text_encoder: CLIPTextModel) -> None:
        super().__init__()
        self.unet, self.text_encoder = unet, text_encoder.requires_grad_(False)

    def forward(self, noisy: Tensor, times: Tensor, words: Tensor) -> Tensor:
        """Latents [B, 4, h, w], their times [B] and token ids [B, T] to what the scheduler predicts, [B, 4, h, w]."""
        return self.unet(noisy, times, encoder_hidden_states=self.text_encoder(words)[0]).sample.float()


def make_painter(options: Options) -> Painter:
    """As it was written, or a new one."""
    torch.manual_seed(options.seed)
    unet = UNet2DConditionModel.from_pretrained(options.out / "unet") if options.resume else make_unet()
    painter = Painter(unet, CLIPTextModel.from_pretrained(options.out / "text_encoder"))
    return painter.to(memory_format=torch.channels_last)  # an eighth faster, on the CPU as well


# ---- what they learn from ----------------------------------------------------------------------------------------


read_vae = lru_cache(AutoencoderKL.from_pretrained)


def open_cache(folder: Path, rows: int, side: int) -> Cache:
    cells = side // CELL
    columns = {
        "latent": ("float16", (4, cells, cells)),
        "things": ("float16", (1, cells, cells)),
        "words": ("int16", (TEXT_LENGTH,)),
    }
    return Cache(folder, rows, columns)


@torch.no_grad()
def make_row(seed: int, vae: Path, side: int) -> Row:
    """Of a picture: its scaled latent, float32 [4, h, w], where its objects are, and its caption's token ids."""
    pixels, things, caption = picture(seed, side, near=side < SIDE)
    model = read_vae(vae)
    latent = model.encode(torch.from_numpy(pixels).permute(2, 0, 1)[None] / 127.5 - 1).latent_dist.mode()
    return {
        "latent": (latent[0] * model.config.scaling_factor).numpy(),
        "things": shares(things),
        "words": token_ids([caption])[0].numpy(),
    }


def shares(things: np.ndarray) -> np.ndarray:
    """How much of a latent's cell is objects, 0 to 1: float32 [1, h, w] of bool [H, W]."""
    return F.avg_pool2d(torch.from_numpy(things)[None].float(), CELL).numpy()


def losses_of(painter: Painter, latents: Tensor, things: Tensor, words: Tensor) -> Losses:
    """The error of what is predicted for latents [B, 4, h, w] under token ids [B, T], at times by chance.

    things: the objects' share of each cell, [B, 1, h, w]. They are small and are what the words are about, so they
    count for more; what is best to predict at a place stays the same.

    It is a velocity (Salimans and Ho, ICLR 2022), whose error weighs what is seen in most of the noise, the places and
    the colours of things, as much as what is seen in little. That of the noise hardly does.
    """
    scheduler = checkpoint.make_scheduler("v_prediction")
    # The noisier, the more often: outlines are decided there.
    times = (len(scheduler.alphas_cumprod) * torch.rand(len(latents), device=latents.device).sqrt()).long()
    noise = torch.randn_like(latents)
    velocity = scheduler.get_velocity(latents, noise, times)
    error = F.mse_loss(painter(scheduler.add_noise(latents, noise, times), times, words), velocity, reduction="none")
    weights = 1 + (OBJECTS - 1) * things
    return {"velocity": (weights * error).mean() / weights.mean()}


# ---- what is written ---------------------------------------------------------------------------------------------


def save(painter: Painter, vae: AutoencoderKL, out: Path) -> None:
    """The whole pipeline in half precision."""
    pipeline = StableDiffusionPipeline(
        vae=deepcopy(vae).half(),
        text_encoder=deepcopy(painter.text_encoder).cpu().half(),
        tokenizer=make_tokenizer(),
        unet=deepcopy(painter.unet).cpu().half(),
        scheduler=checkpoint.make_scheduler("v_prediction"),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    checkpoint.save(pipeline, out)


def draw_sheet(folder: Path, path: Path, device: torch.device) -> None:
    """What the model at `folder` draws for the captions of a few training scenes, under each of the true pictures."""
    pipeline = StableDiffusionPipeline.from_pretrained(folder).to(device)
    pipeline.set_progress_bar_config(disable=True)
    stills = [still(seed, (SIDE, SIDE)) for seed in range(SHOWN)]
    drawn = pipeline([each.caption for each in stills], num_inference_steps=25, guidance_scale=4.0).images
    sheet = Image.new("RGB", (SHOWN * SIDE, 2 * SIDE + 60), "white")
    pen = ImageDraw.Draw(sheet)
    for k, (each, image) in enumerate(zip(stills, drawn, strict=True)):
        sheet.paste(Image.fromarray(each.picture), (k * SIDE, 0))
        sheet.paste(image, (k * SIDE, SIDE))
        pen.text((k * SIDE + 2, 2 * SIDE + 2), textwrap.fill(each.caption, 20), "black")
    sheet.save(path)


def train(options: Options) -> None:
    training = Training(make_painter(options), options)
    folder = options.out / "vae"
    vae = AutoencoderKL.from_pretrained(folder)
    made_with = hashlib.sha256(next(folder.glob("*.safetensors")).read_bytes()).hexdigest()[:8]
    openings = {
        side: partial(open_cache, options.aside / f"latents-{side}-{made_with}", options.pictures, side)
        for side in (SIDE // 2, SIDE)
    }
    caches = {side: opening() for side, opening in openings.items()}
    empty = token_ids([""])[0]

    def losses() -> Losses:
        side, count = (SIDE // 2, 4 * options.batch) if training.rng.uniform() < NEAR else (SIDE, options.batch)
        batch = caches[side].draw(training.rng, count)
        latents, things, words = batch["latent"].float(), batch["things"].float(), batch["words"].long()
        words[torch.from_numpy(training.rng.uniform(size=len(words)) < DROPPED)] = empty
        with training.autocast():
            return losses_of(training.model, *(each.to(options.place) for each in (latents, things, words)))

    # The files of the VAE are replaced at every save, by the same bytes: the workers read a copy that stays.
    copy = options.aside / f"vae-{made_with}"
    vae.save_pretrained(copy)
    jobs = [(opening, partial(make_row, vae=copy, side=side)) for side, opening in openings.items()]
    with filling(jobs, options.workers):
        training.run(losses, partial(save, vae=vae, out=options.out))
    draw_sheet(options.out, options.aside / "sheet.png", options.place)


if __name__ == "__main__":
    train(parse(__doc__, "diffusion", minutes=240, batch=32, rate=1e-3, pictures=60_000))
