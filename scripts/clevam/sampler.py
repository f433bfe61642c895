"""DDIM inversion and DDIM sampling in latent space (Song et al., ICLR 2021), with the background held in place.

Levels are numbered from the noisiest, 0, to the clean latent, S; `levels[i]` is the cumulative alpha at level i, and
the network is asked at time step `timesteps[i]` for the move between levels i and i + 1, in either direction.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from clevam.attention import ENOUGH, Cache, Context, Window, during, installed
from clevam.control import residuals
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

    @property
    def steps(self) -> int:
        return len(self.timesteps)

    def moves(self, first: int = 0, jump: int = 0, times: int = 1) -> list[tuple[int, int]]:
        """The way from level `first` to the clean one, as (from, to): each stretch of `jump` levels is gone `times`
        times, and back up at once in between (RePaint, Lugmayr et al., CVPR 2022, section 4.2)."""
        result = []
        for top in range(first, self.steps, jump or self.steps):
            bottom = min(top + (jump or self.steps), self.steps)
            down = [(i, i + 1) for i in range(top, bottom)]
            result += down + ([(bottom, top)] + down) * (times - 1)
        return result

    def noised(self, clean: Tensor, noise: Tensor) -> list[Tensor]:
        """A clean latent at all levels, noisiest first, with the same noise in each."""
        return [a**0.5 * clean + (1 - a) ** 0.5 * noise for a in self.levels[:-1]] + [clean]

    def noised_more(self, z: Tensor, noise: Tensor, start: int, end: int) -> Tensor:
        """z at level `start` with as much noise more as makes it one of the noisier level `end`."""
        kept = self.levels[end] / self.levels[start]
        return kept**0.5 * z + (1 - kept) ** 0.5 * noise

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
def invert(
    unet, schedule: Schedule, clean: Tensor, contexts: list[Context], each: Callable[[Iterable], Iterable] = iter
) -> list[Tensor]:
    """The latents [K, 4, h, w] of all S + 1 levels, noisiest first, on the way from `clean` to noise.

    Conditional only (no guidance), with the regions and words of `contexts`, one per keyframe: the source's own. each:
    goes through the steps, to count them.
    """
    path = [clean]
    with installed(unet, contexts):
        for i in each(reversed(range(schedule.steps))):
            tell(contexts, progress=i / schedule.steps)
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


@dataclass(frozen=True)
class Constraint:
    """What holds a latent to the source after every step.

    kind: `none`; `background` and `repaint`: the outside is replaced by the source's, at the level just reached
        (`matched`) or, as in Shape-guided Diffusion's code, at the one before (`official`); `ilvr`: everywhere the low
        frequencies are, those that a grid `factor` cells wide can hold (Choi et al., ICCV 2021, equation 6), during
        `window`
    jump, times: of `repaint`, Schedule.moves
    """

    kind: str = "background"
    level: str = "matched"
    factor: int = 4
    window: Window = (0, 1)
    jump: int = 0
    times: int = 1

    def moves(self, schedule: Schedule, first: int) -> list[tuple[int, int]]:
        return schedule.moves(first, self.jump, self.times) if self.kind == "repaint" else schedule.moves(first)

    def __call__(self, z: Tensor, source: list[Tensor], inside: Tensor, i: int) -> Tensor:
        """Latents [K, 4, h, w] that have just come from level i; inside: [K, 1, h, w], source: at all levels."""
        steps = len(source) - 1
        if self.kind == "ilvr" and during(i / steps, self.window):
            return z + low(source[i + 1] - z, self.factor)
        if self.kind in ("background", "repaint"):
            level = i if self.level == "official" and i + 1 < steps else i + 1
            return inside * z + (1 - inside) * source[level]
        return z


def low(x: Tensor, factor: int) -> Tensor:
    """The low frequencies of [K, C, h, w]: means over cells of factor x factor, smoothly joined."""
    size = [max(1, round(n / factor)) for n in x.shape[-2:]]
    return F.interpolate(F.interpolate(x, size, mode="area"), x.shape[-2:], mode="bicubic")


@torch.no_grad()
def edit(
    unet,
    schedule: Schedule,
    start: Tensor,
    source: list[Tensor],
    contexts: list[Context],
    guidance: float,
    *,
    first: int = 0,
    constraint: Constraint = Constraint(),
    shared: Shared | None = None,
    before: Sequence[Callable[[int], Cache]] = (),
    own: list[Context] | None = None,
    write: Callable[[int, Cache], None] | None = None,
    noise: Callable[[int], Tensor] | None = None,
    each: Callable[[Iterable], Iterable] = iter,
) -> Tensor:
    """The edited clean latents [K, 4, h, w] of K keyframes.

    start: the latents at level `first`; source: theirs at all levels, noisiest first; the texts of `contexts` are pairs
    (negative, wanted), [2, T, C]; guidance: classifier-free (Ho and Salimans, 2022); before: what reads the attention
    of keyframes that were edited before; own: contexts of the source, whose queries and keys are taken; write takes the
    attention of every step, of a single keyframe, and the latent before it; noise: of the given number, for the ways
    back; each: goes through the moves, to count them.
    """
    z, inside = start, torch.cat([blend_mask(c.labels) for c in contexts]).to(start)
    told, options, step = list(contexts), contexts[0].options, 0
    with installed(unet, told):
        for i, end in each(constraint.moves(schedule, first)):
            if end < i:
                z = schedule.noised_more(z, noise(step), i, end)
                continue
            t, progress = schedule.timesteps[i], i / schedule.steps
            sharing = during(progress, options.shared)
            reference = shared.read(step) if shared and sharing else None
            written = {} if write and sharing else None
            if reference and shared.context:
                reference = look_again(unet, reference["z"].to(z), t, [shared.context], told, progress, "write")[0]
            taken = [None] * len(contexts)
            if own and during(progress, options.injected):
                taken = look_again(unet, source[i], t, own, told, progress, "record")
            told[:] = contexts
            read = [reference] * bool(reference) + [read(step) for read in before if sharing]
            tell(told, progress=progress, read=read, write=written)
            for context, queries_and_keys in zip(contexts, taken, strict=True):
                context.taken = queries_and_keys
            pairs = z.repeat_interleave(2, 0)
            output = predict(unet, pairs, t, contexts)
            if written is not None:
                write(step, written | {"z": z})
            without, wanted = schedule.noise(output, pairs, i).unflatten(0, (-1, 2)).unbind(1)
            z = schedule.move(z, without + guidance * (wanted - without), i, end)
            z, step = constraint(z, source, inside, i), step + 1
    return z


@torch.no_grad()
def witness(
    unet, schedule: Schedule, path: list[Tensor], context: Context, moves: Iterable, write: Callable[[int, Cache], None]
) -> None:
    """Have `write` take the attention that `edit` would have written, had its moves gone through these latents.

    path: of one keyframe, [1, 4, h, w] at all levels, noisiest first; context: as for `edit`.
    """
    told = [context]
    with installed(unet, told):
        for step, i in enumerate(i for i, end in moves if i < end):
            progress = i / schedule.steps
            if during(progress, context.options.shared):
                cache = look_again(unet, path[i], schedule.timesteps[i], [context], told, progress, "write")[0]
                write(step, cache | {"z": path[i]})


def look_again(
    unet, z: Tensor, t: int, contexts: list[Context], told: list[Context], progress: float, role: str
) -> list[Cache]:
    """What `role` of each context is filled with when the latents z [K, 4, h, w] before time step t go through the
    network: `write`, the attention of a reference; `record`, the queries and keys of a source."""
    told[:], caches = contexts, [{} for _ in contexts]
    for context, cache in zip(contexts, caches, strict=True):
        tell([context], progress=progress, **{role: cache})
    predict(unet, z.repeat_interleave(len(contexts[0].texts[0]), 0), t, told)
    tell(contexts, **{role: None})
    return caches


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
    guided = residuals(z, t, added or None, contexts)
    output = unet(given.to(text.dtype), t, encoder_hidden_states=text, added_cond_kwargs=added or None, **guided)
    return output.sample.to(z.dtype)


def blend_mask(labels: Tensor) -> Tensor:
    """float32 [1, 1, h, w]: 1 in the regions and one latent pixel around them."""
    inside = (labels > 0).float()[None, None]
    return F.max_pool2d(inside, 3, stride=1, padding=1)
