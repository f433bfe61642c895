"""What the trainings of the demo's models have in common: options, the loop, and what it keeps.

A run is the pair of a folder `out`, which is shipped, and `out`.training beside it, which is not: the state from which
the run goes on, and the curve of its loss. Every random number has a seed.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

SAVE_EVERY = 240  # seconds
WARM_UP = 0.02  # share of the run, in which the learning rate rises
LOWEST_RATE = 0.02  # of the learning rate, at the end
SLOWEST = 0.999  # share that the running average of the weights keeps at a step; early in the run it is less

Losses = dict[str, Tensor]  # scalars by name; their sum is what shrinks

# ---- options -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Options:
    """How a model is trained."""

    out: Path
    steps: int | None
    minutes: float | None
    batch: int
    rate: float
    seed: int = 0
    device: str = "auto"
    threads: int = 2
    resume: bool = False
    workers: int = 1
    pictures: int = 1000

    @cached_property
    def place(self) -> torch.device:
        auto = "cuda" if torch.cuda.is_available() else "cpu"
        return torch.device(auto if self.device == "auto" else self.device)

    @cached_property
    def aside(self) -> Path:
        """The folder of what is not shipped."""
        folder = self.out.with_name(self.out.name + ".training")
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def parse(description: str, model: str, **defaults: float) -> Options:
    """Read the command line. `defaults`: of minutes, batch, rate and, where they are drawn in advance, pictures."""
    parser = argparse.ArgumentParser(description=description.partition("\n")[0])
    out = Path(__file__).parent / "models" / model
    parser.add_argument("--out", type=Path, default=out, help="the folder of the model")
    parser.add_argument("--resume", action="store_true", help="go on from the model there, and its state if it is left")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--steps", type=int, help="the length of the whole run, what is resumed included")
    length.add_argument("--minutes", type=float, default=defaults["minutes"], help="the same in time")
    parser.add_argument("--batch", type=int, default=defaults["batch"])
    parser.add_argument("--rate", type=float, default=defaults["rate"], help="learning rate after the warm-up")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of the CPU, for the training")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) // 2), help="that make pictures")
    if "pictures" in defaults:
        parser.add_argument("--pictures", type=int, default=defaults["pictures"], help="to learn from, up to 900,000")
    return Options(**vars(parser.parse_args()))


# ---- the loop ----------------------------------------------------------------------------------------------------


class Training:
    """A model on its way: its weights, their running average, the optimizer, and the losses of every step so far."""

    def __init__(self, model: nn.Module, options: Options) -> None:
        self.options = options
        self.model = model.to(options.place).train()
        self.average = AveragedModel(self.model, multi_avg_fn=follow)
        learning = [weight for weight in model.parameters() if weight.requires_grad]
        self.optimizer = torch.optim.AdamW(learning, options.rate, betas=(0.9, 0.99), weight_decay=0.01)
        self.losses: dict[str, list[float]] = {}
        self.steps, self.seconds = 0, 0.0
        if options.resume and self.state.exists():
            self.load()
        np_seed, torch_seed = np.random.SeedSequence([options.seed, self.steps]).generate_state(2)
        self.rng = np.random.default_rng(np_seed)
        torch.manual_seed(int(torch_seed))
        torch.set_num_threads(options.threads)
        torch.set_float32_matmul_precision("high")

    @property
    def progress(self) -> float:
        """Share of the run that is done, from 0 to 1."""
        steps, minutes = self.options.steps, self.options.minutes
        return min(1.0, self.steps / steps if steps else self.seconds / 60 / minutes)

    def run(self, losses: Callable[[], Losses], save: Callable[[nn.Module], None]) -> None:
        """Step until the run is over; `losses` are those of one batch, `save` writes the averaged model to `out`."""
        saved = time.monotonic()
        form = "{percentage:5.1f} %|{bar}| {elapsed}<{remaining}{postfix}"
        with tqdm(total=100, miniters=0, bar_format=form) as bar:  # or it would be drawn once per percent
            while self.progress < 1:
                start = time.monotonic()
                self.step(losses())
                self.seconds += time.monotonic() - start
                recent = ", ".join(f"{name} {np.mean(values[-100:]):.4f}" for name, values in self.losses.items())
                bar.update(100 * self.progress - bar.n)
                bar.set_postfix_str(f"step {self.steps}, {recent}", refresh=False)
                if time.monotonic() - saved > SAVE_EVERY:
                    self.save(save)
                    saved = time.monotonic()
        self.save(save)

    def step(self, losses: Losses) -> None:
        rate = self.options.rate * schedule(self.progress)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        sum(losses.values()).backward()
        # A batch of which the gradient is not finite is left out, or it would be the end of all weights.
        if nn.utils.clip_grad_norm_(self.model.parameters(), 1.0).isfinite():
            self.optimizer.step()
            self.average.update_parameters(self.model)
        self.steps += 1
        for name, loss in losses.items():
            self.losses.setdefault(name, []).append(loss.item())

    def autocast(self) -> torch.autocast:
        """Half the memory and twice the speed on CUDA; CPUs without AVX-512 gain nothing by it."""
        return torch.autocast(self.options.place.type, torch.bfloat16, enabled=self.options.place.type == "cuda")

    # What is kept.

    @property
    def state(self) -> Path:
        return self.options.aside / f"{type(self.model).__name__.lower()}.pt"

    def save(self, save: Callable[[nn.Module], None]) -> None:
        parts = {name: getattr(self, name).state_dict() for name in ("model", "average", "optimizer")}
        numbers = {name: getattr(self, name) for name in ("losses", "steps", "seconds")}
        partial = self.state.with_suffix(".partial")
        torch.save(parts | numbers, partial)
        partial.replace(self.state)
        draw_curve(self.losses, self.state.with_suffix(".png"))
        self.average.module.eval()
        save(self.average.module)

    def load(self) -> None:
        state = torch.load(self.state, map_location=self.options.place, weights_only=True)
        for name in ("model", "average", "optimizer"):
            getattr(self, name).load_state_dict(state[name])
        self.losses, self.steps, self.seconds = state["losses"], state["steps"], state["seconds"]


def halved(model: nn.Module) -> dict[str, Tensor]:
    """The state dict in half precision, to be shipped."""
    return {name: value.half() if value.is_floating_point() else value for name, value in model.state_dict().items()}


def schedule(progress: float) -> float:
    """The learning rate as a share of its highest: up in a line, down as a cosine. `progress` from 0 to 1."""
    if progress < WARM_UP:
        return max(progress / WARM_UP, 1e-3)
    down = (progress - WARM_UP) / (1 - WARM_UP)
    return LOWEST_RATE + (1 - LOWEST_RATE) * (1 + math.cos(math.pi * down)) / 2


@torch.no_grad()
def follow(averages: list[Tensor], currents: list[Tensor], count: Tensor) -> None:
    """Draw the averaged weights towards the current ones, after `count` steps."""
    keep = min(SLOWEST, (1 + int(count)) / (25 + int(count)))
    torch._foreach_lerp_(averages, currents, 1 - keep)


INKS = ("blue", "red", "green", "purple")


def draw_curve(
    losses: dict[str, list[float]], path: Path, size: tuple[int, int] = (800, 400), margin: int = 50
) -> None:
    """The losses by steps, smoothed over a hundredth of the run, on a logarithmic scale: a PNG of `size` pixels."""
    points = min(100, len(next(iter(losses.values()))))
    levels = {
        name: np.log([max(part.mean(), 1e-9) for part in np.array_split(values, points)])
        for name, values in losses.items()
    }
    low, high = (pick([pick(curve) for curve in levels.values()]) for pick in (min, max))
    (width, height), image = size, Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(image)
    pen.line([(margin, 10), (margin, height - margin + 10), (width - 10, height - margin + 10)], "black")
    for k, (name, curve) in enumerate(levels.items()):
        x = np.linspace(margin, width - 10, points)
        y = 10 + (high - curve) / (high - low + 1e-9) * (height - margin - 10)
        pen.line(list(zip(x.tolist(), y.tolist(), strict=True)), INKS[k], 2)
        pen.text((width - 120, 10 + 14 * k), name, INKS[k])
    pen.text((4, 4), f"{np.exp(high):.4g}", "black")
    pen.text((4, height - margin - 6), f"{np.exp(low):.4g}", "black")
    pen.text((width - 120, height - margin + 16), f"{len(next(iter(losses.values())))} steps", "black")
    image.save(path)
