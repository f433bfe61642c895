"""Train the demo's VAE: pictures to latents of a quarter of their side, in four channels, and back.

    python demo/train_vae.py [--out demo/models/diffusion] [--minutes 30] [--resume]

It learns on crops of 32 x 32 pixels, then of 64 x 64; having no attention it works at any size. Comes before
train_diffusion.py, whose latents it defines.
"""

import shutil
from copy import deepcopy
from functools import partial
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from cache import Cache, Row, filling
from checkpoint import strip
from scenery import picture
from training import Losses, Options, Training, parse
from world import MEASURING_SEEDS, still

SIDE = 128  # pixels
CROPS, SMALL = (32, 64), 0.7  # sides in pixels, and the share of the run at the smaller one, four times as fast
KL = 1e-6  # weight of the latents' distance from a standard normal distribution
EDGES = 0.5  # weight of the differences between neighbouring pixels


def make_vae() -> AutoencoderKL:
    return AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * 3,
        up_block_types=["UpDecoderBlock2D"] * 3,
        block_out_channels=[24, 48, 96],
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        mid_block_add_attention=False,
        sample_size=SIDE,
    )


def open_cache(folder: Path, rows: int) -> Cache:
    return Cache(folder, rows, {"picture": ("uint8", (3, SIDE, SIDE))})


def make_row(seed: int) -> Row:
    return {"picture": picture(seed, SIDE).picture.transpose(2, 0, 1)}


def crops(pictures: Tensor, side: int, rng: np.random.Generator) -> Tensor:
    """uint8 [B, 3, H, W] to a random square of each: float32 [B, 3, side, side] in -1..1."""
    corners = rng.integers(0, SIDE - side + 1, (len(pictures), 2))
    squares = [p[:, y : y + side, x : x + side] for p, (y, x) in zip(pictures, corners, strict=True)]
    return torch.stack(squares).float() / 127.5 - 1


def losses_of(vae: AutoencoderKL, pixels: Tensor) -> Losses:
    """How far a picture [B, 3, H, W] is from what comes back, its edges apart, and the latents from noise."""
    posterior = vae.encode(pixels).latent_dist
    difference = vae.decode(posterior.sample()).sample.float() - pixels
    edges = difference.diff(dim=2).abs().mean() + difference.diff(dim=3).abs().mean()
    pixels = difference.abs().mean() + difference.square().mean()
    return {"pixels": pixels, "edges": EDGES * edges, "noise": KL * posterior.kl().mean()}


# ---- what is measured ----------------------------------------------------------------------------------------------


@torch.no_grad()
def quality(vae: AutoencoderKL, seeds: range) -> tuple[float, float]:
    """Of the stills of these seeds: the mean PSNR of what comes back, in dB, and the standard deviation of latents."""
    device = next(vae.parameters()).device
    ratios, latents = [], []
    for seed in seeds:
        source = torch.from_numpy(still(seed, (SIDE, SIDE)).picture).permute(2, 0, 1)[None].to(device)
        latent = vae.encode(source / 127.5 - 1).latent_dist.mode()
        back = ((vae.decode(latent).sample + 1) * 127.5).clamp(0, 255).round()
        ratios.append(20 * np.log10(255) - 10 * np.log10(float((back - source).square().mean())))
        latents.append(latent)
    return float(np.mean(ratios)), float(torch.cat(latents).std())


def save(vae: AutoencoderKL, out: Path) -> None:
    """Write it in half precision, whole, with the factor that gives latents unit variance."""
    ratio, spread = quality(vae, range(64))
    vae.register_to_config(scaling_factor=round(1 / spread, 5))
    print(f"\nPSNR {ratio:.2f} dB, scaling factor {vae.config.scaling_factor}")
    partial = out.with_name(out.name + ".partial")
    deepcopy(vae).half().save_pretrained(partial)
    strip(partial / "config.json")
    shutil.rmtree(out, ignore_errors=True)
    partial.rename(out)


def train(options: Options) -> None:
    torch.manual_seed(options.seed)
    folder = options.out / "vae"
    training = Training(AutoencoderKL.from_pretrained(folder) if options.resume else make_vae(), options)
    opening = partial(open_cache, options.aside / "pictures", options.pictures)
    cache = opening()

    def losses() -> Losses:
        batch = cache.draw(training.rng, options.batch)
        side = CROPS[training.progress >= SMALL]
        with training.autocast():
            return losses_of(training.model, crops(batch["picture"], side, training.rng).to(options.place))

    with filling([(opening, make_row)], options.workers):
        training.run(losses, partial(save, out=folder))
    vae = AutoencoderKL.from_pretrained(folder)
    print(f"On measuring seeds, as written: {quality(vae, MEASURING_SEEDS[:200])[0]:.2f} dB")


if __name__ == "__main__":
    train(parse(__doc__, "diffusion", minutes=30, batch=16, rate=1e-3, pictures=20_000))
