"""DDIM inversion and DDIM sampling in latent space (Song et al., ICLR 2021), with the background held in place.

Levels are numbered from the noisiest, 0, to the clean latent, S; `levels[i]` is the cumulative alpha at level i, and
the network is asked at time step `timesteps[i]` for the move between levels i and i + 1, in either direction.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from clevam.attention import Cache, Context, installed
from clevam.errors import UserError


@dataclass(frozen=True)
class Schedule:
    """The S time steps and S + 1 levels of a run, and what the network predicts: epsilon or v_prediction."""

    timesteps: list[int]
    levels: list[float]
    prediction: str

    @classmethod
    def of(cls, scheduler, steps: int) -> "Schedule":
        """From a diffusers DDIMScheduler, whose settings belong to the checkpoint."""
        prediction = scheduler.config.prediction_type
        if prediction not in ("epsilon", "v_prediction"):
            raise UserError(
                f"models.diffusion: its scheduler has prediction_type `{prediction}`; "
                "take a checkpoint with epsilon or v_prediction"
            )
        scheduler.set_timesteps(steps)
        timesteps = scheduler.timesteps.tolist()
        levels = [float(scheduler.alphas_cumprod[t]) for t in timesteps] + [float(scheduler.final_alpha_cumprod)]
        return cls(timesteps, levels, prediction)

    def noise(self, output: Tensor, z: Tensor, i: int) -> Tensor:
        """The noise in z that the network's output at timesteps[i] stands for."""
        if self.prediction == "v_prediction":  # Salimans and Ho, ICLR 2022, section 4
            return self.levels[i] ** 0.5 * output + (1 - self.levels[i]) ** 0.5 * z
        return output

    def move(self, z: Tensor, noise: Tensor, start: int, end: int) -> Tensor:
        """z at level `start` brought to level `end` along the given noise; Song et al., equation 12 with sigma 0."""
        a, b = self.levels[start], self.levels[end]
        clean = (z - (1 - a) ** 0.5 * noise) / a**0.5
        return b**0.5 * clean + (1 - b) ** 0.5 * noise


@torch.no_grad()
def invert(unet, schedule: Schedule, clean: Tensor, context: Context) -> list[Tensor]:
    """The latents [1, 4, h, w] of all S + 1 levels, noisiest first, on the way from `clean` to noise.

    Conditional only (no guidance), with the regions and words of `context`: the source's own.
    """
    steps = len(schedule.timesteps)
    path = [clean]
    with installed(unet, context):
        for i in tqdm(reversed(range(steps)), total=steps, desc="inversion", unit="step"):
            output = predict(unet, path[0], schedule.timesteps[i], context)
            path.insert(0, schedule.move(path[0], schedule.noise(output, path[0], i), i + 1, i))
    return path


@torch.no_grad()
def edit(
    unet,
    schedule: Schedule,
    start: Tensor,
    source: list[Tensor],
    context: Context,
    guidance: float,
    read: Callable[[int], Cache] | None = None,
    write: Callable[[int, Cache], None] | None = None,
) -> Tensor:
    """The edited clean latent [1, 4, h, w].

    start: the latent at level 0; source: `invert`'s path, which replaces the outside after every step at the level
    just reached; context.texts are pairs (negative, wanted), [2, T, C]; guidance: classifier-free (Ho and Salimans,
    2022); read gives the reference's cache of a step, write takes this run's.
    """
    z, inside = start, blend_mask(context.labels).to(start)
    with installed(unet, context):
        for i, t in enumerate(tqdm(schedule.timesteps, desc="edit", unit="step")):
            context.read, context.write = read(i) if read else None, {} if write else None
            output = predict(unet, torch.cat([z, z]), t, context)
            without, wanted = schedule.noise(output, z, i).chunk(2)
            z = schedule.move(z, without + guidance * (wanted - without), i, i + 1)
            z = inside * z + (1 - inside) * source[i + 1]
            if write:
                write(i, context.write)
    return z


def predict(unet, z: Tensor, t: int, context: Context) -> Tensor:
    """The network's output for z at time step t, in z's precision: half precision is for the network alone."""
    text = context.texts[0]  # its words; region attention puts each region's own in its place
    return unet(z.to(text.dtype), t, encoder_hidden_states=text).sample.to(z.dtype)


def blend_mask(labels: Tensor) -> Tensor:
    """float32 [1, 1, h, w]: 1 in the regions and one latent pixel around them."""
    inside = (labels > 0).float()[None, None]
    return F.max_pool2d(inside, 3, stride=1, padding=1)
