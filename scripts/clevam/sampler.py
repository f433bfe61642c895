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

from clevam.attention import ENOUGH, Cache, Context, during, installed
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
def invert(unet, schedule: Schedule, clean: Tensor, contexts: list[Context]) -> list[Tensor]:
    """The latents [K, 4, h, w] of all S + 1 levels, noisiest first, on the way from `clean` to noise.

    Conditional only (no guidance), with the regions and words of `contexts`, one per keyframe: the source's own.
    """
    steps = len(schedule.timesteps)
    path = [clean]
    with installed(unet, contexts):
        for i in tqdm(reversed(range(steps)), total=steps, desc="inversion", unit="step"):
            tell(contexts, progress=i / steps)
            output = predict(unet, path[0], schedule.timesteps[i], contexts)
            path.insert(0, schedule.move(path[0], schedule.noise(output, path[0], i), i + 1, i))
    return path


def standardized(z: Tensor, labels: Tensor) -> Tensor:
    """Latents [4, h, w] at level 0 with mean 0 and spread 1 in each region of labels int64 [h, w], per channel.

    Noise has these by nature and loses nothing. An inverted picture has the mean of its colours left over, and is drawn
    in them again whatever the words say. (Parmar et al., SIGGRAPH 2023, section 3.1, see to it while they invert.)
    """
    result = z.clone()
    for region in range(1, int(labels.max()) + 1):
        tokens = z[:, labels == region]
        if tokens.shape[1] >= ENOUGH:
            spread, mean = torch.std_mean(tokens, 1, keepdim=True)
            result[:, labels == region] = (tokens - mean) / spread.clamp(min=1e-4)
    return result


@dataclass(frozen=True)
class Shared:
    """The reference's attention as it was kept: `read` gives that of a step. Where no more was kept than the latent
    before each step, {"z": [1, 4, h, w]}, it goes through the network again, with `context`."""

    read: Callable[[int], Cache]
    context: Context | None = None


@torch.no_grad()
def edit(
    unet,
    schedule: Schedule,
    start: Tensor,
    source: list[Tensor],
    contexts: list[Context],
    guidance: float,
    *,
    background: str = "matched",
    shared: Shared | None = None,
    write: Callable[[int, Cache], None] | None = None,
) -> Tensor:
    """The edited clean latents [K, 4, h, w] of K keyframes.

    start: the latents at level 0; source: `invert`'s path, which replaces the outside after every step, at the level
    just reached (`matched`) or, as in Shape-guided Diffusion's code, at the one before (`official`); the texts of
    `contexts` are pairs (negative, wanted), [2, T, C]; guidance: classifier-free (Ho and Salimans, 2022); write takes
    the attention of every step, of a single keyframe, and the latent before it.
    """
    z, inside = start, torch.cat([blend_mask(c.labels) for c in contexts]).to(start)
    told, steps = list(contexts), len(schedule.timesteps)
    with installed(unet, told):
        for i, t in enumerate(tqdm(schedule.timesteps, desc="edit", unit="step")):
            sharing = during(i / steps, contexts[0].options.shared)
            reference = shared.read(i) if shared and sharing else None
            written = {} if write and sharing else None
            if reference and shared.context:
                reference = replay(unet, reference["z"].to(z), t, shared.context, told, i / steps)
            told[:] = contexts
            tell(told, progress=i / steps, read=reference, write=written)
            pairs = z.repeat_interleave(2, 0)
            output = predict(unet, pairs, t, contexts)
            if written is not None:
                write(i, written | {"z": z})
            without, wanted = schedule.noise(output, pairs, i).unflatten(0, (-1, 2)).unbind(1)
            z = schedule.move(z, without + guidance * (wanted - without), i, i + 1)
            level = i if background == "official" and i + 1 < steps else i + 1
            z = inside * z + (1 - inside) * source[level]
    return z


def replay(unet, z: Tensor, t: int, context: Context, told: list[Context], progress: float) -> Cache:
    """The attention of the reference, whose latent before time step t is z [1, 4, h, w]."""
    told[:], cache = [context], {}
    tell(told, progress=progress, write=cache)
    predict(unet, z.repeat_interleave(2, 0), t, told)
    return cache


def tell(contexts: list[Context], **news: object) -> None:
    for context in contexts:
        vars(context).update(news)


def predict(unet, z: Tensor, t: int, contexts: list[Context]) -> Tensor:
    """The network's output for z [K * B, 4, h, w], keyframe by keyframe, at time step t, in z's precision: half
    precision is for the network alone."""
    text = torch.cat([c.texts[0] for c in contexts])  # its words; region attention puts each region's own in its place
    given = z
    if contexts[0].channels is not None:
        beside = torch.cat([c.channels for c in contexts])
        given = torch.cat([z, beside.repeat_interleave(len(z) // len(contexts), 0)], 1)
    added = {name: torch.cat([c.added[name] for c in contexts]) for name in contexts[0].added or {}}
    output = unet(given.to(text.dtype), t, encoder_hidden_states=text, added_cond_kwargs=added or None)
    return output.sample.to(z.dtype)


def blend_mask(labels: Tensor) -> Tensor:
    """float32 [1, 1, h, w]: 1 in the regions and one latent pixel around them."""
    inside = (labels > 0).float()[None, None]
    return F.max_pool2d(inside, 3, stride=1, padding=1)
