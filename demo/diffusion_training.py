"""What the trainings of the demo's models have in common: the loop, its safety, and pictures made in the background.

A run is the pair of a folder `out`, which is shipped, and `out`.training beside it, which is not: the state from which
the run goes on, the curve of its loss, and the cache of what it learns from. Every random number has a seed. Still, a
second run is not the same bit by bit, since how many pictures are ready at a step depends on the machine.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from PIL import Image, ImageDraw
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

SAVE_EVERY = 240  # seconds
WARM_UP = 0.02  # share of the run, in which the learning rate rises
LOWEST_RATE = 0.02  # of the learning rate, at the end
SLOWEST = 0.999  # share that the running average of the weights keeps at a step; early in the run it is less

# ---- command line ------------------------------------------------------------------------------------------------


def parser(description: str, out: Path, **defaults: float) -> argparse.ArgumentParser:
    """The options that every training has; `defaults` are those of minutes, batch, rate and pictures."""
    parser = argparse.ArgumentParser(description=description.partition("\n")[0])
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
    parser.add_argument("--pictures", type=int, default=defaults["pictures"], help="to learn from, up to 900,000")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) // 2), help="that make pictures")
    return parser


# ---- the loop ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Options:
    """How a model is trained: `parser`'s options."""

    out: Path
    steps: int | None
    minutes: float | None
    batch: int
    rate: float
    seed: int = 0
    device: str = "auto"
    threads: int = 2
    resume: bool = False
    pictures: int = 1000
    workers: int = 1

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


class Training:
    """A model on its way: its weights, their running average, the optimizer, and the loss of every step so far."""

    def __init__(self, model: nn.Module, options: Options) -> None:
        self.options = options
        self.model = model.to(options.place).train()
        self.average = AveragedModel(self.model, multi_avg_fn=follow)
        self.optimizer = torch.optim.AdamW(model.parameters(), options.rate, betas=(0.9, 0.99), weight_decay=0.01)
        self.losses: list[float] = []
        self.seconds = 0.0
        if options.resume and self.state.exists():
            self.load()
        np_seed, torch_seed = np.random.SeedSequence([options.seed, len(self.losses)]).generate_state(2)
        self.rng = np.random.default_rng(np_seed)
        torch.manual_seed(int(torch_seed))
        torch.set_num_threads(options.threads)

    @property
    def progress(self) -> float:
        """Share of the run that is done, from 0 to 1."""
        steps, minutes = self.options.steps, self.options.minutes
        return min(1.0, len(self.losses) / steps if steps else self.seconds / 60 / minutes)

    def run(self, loss: Callable[[], Tensor], save: Callable[[nn.Module], None]) -> None:
        """Step until the run is over; `loss` is that of one batch, `save` writes the averaged model to `out`."""
        saved = time.monotonic()
        with tqdm(total=100, unit="%", bar_format="{percentage:5.1f} %|{bar}| {elapsed}<{remaining}{postfix}") as bar:
            while self.progress < 1:
                start = time.monotonic()
                self.step(loss())
                self.seconds += time.monotonic() - start
                recent = np.mean(self.losses[-100:])
                bar.update(100 * self.progress - bar.n)
                bar.set_postfix_str(f"step {len(self.losses)}, loss {recent:.4f}", refresh=False)
                if time.monotonic() - saved > SAVE_EVERY:
                    self.save(save)
                    saved = time.monotonic()
        self.save(save)

    def step(self, loss: Tensor) -> None:
        rate = self.options.rate * schedule(self.progress)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        # A batch of which the gradient is not finite is left out, or it would be the end of all weights.
        if nn.utils.clip_grad_norm_(self.model.parameters(), 1.0).isfinite():
            self.optimizer.step()
            self.average.update_parameters(self.model)
        self.losses.append(loss.item())

    def autocast(self) -> torch.autocast:
        """Half the memory and twice the speed on CUDA; CPUs without AVX-512 gain nothing by it."""
        return torch.autocast(self.options.place.type, torch.bfloat16, enabled=self.options.place.type == "cuda")

    # What is kept.

    @property
    def state(self) -> Path:
        return self.options.aside / f"{type(self.model).__name__.lower()}.pt"

    def save(self, save: Callable[[nn.Module], None]) -> None:
        parts = {name: getattr(self, name).state_dict() for name in ("model", "average", "optimizer")}
        partial = self.state.with_suffix(".partial")
        torch.save(parts | {"losses": self.losses, "seconds": self.seconds}, partial)
        partial.replace(self.state)
        draw_curve(self.losses, self.state.with_suffix(".png"))
        self.average.module.eval()
        save(self.average.module)

    def load(self) -> None:
        state = torch.load(self.state, map_location=self.options.place, weights_only=True)
        for name in ("model", "average", "optimizer"):
            getattr(self, name).load_state_dict(state[name])
        self.losses, self.seconds = state["losses"], state["seconds"]


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


def draw_curve(losses: list[float], path: Path, size: tuple[int, int] = (800, 400), margin: int = 50) -> None:
    """The loss by steps, smoothed over a hundredth of the run, on a logarithmic scale: a PNG of `size` pixels."""
    window = max(1, len(losses) // 100)
    means = np.array([np.mean(part) for part in np.array_split(losses, max(1, len(losses) // window))])
    levels = np.log(np.maximum(means, 1e-9))
    low, high = levels.min(), levels.max() + 1e-9
    (width, height), image = size, Image.new("RGB", size, "white")
    x = np.linspace(margin, width - 10, len(levels))
    y = 10 + (high - levels) / (high - low) * (height - margin - 10)
    pen = ImageDraw.Draw(image)
    pen.line([(margin, 10), (margin, height - margin + 10), (width - 10, height - margin + 10)], "black")
    pen.line(list(zip(x.tolist(), y.tolist(), strict=True)), "blue", 2)
    pen.text((4, 4), f"{np.exp(high):.4g}", "black")
    pen.text((4, height - margin - 6), f"{np.exp(low):.4g}", "black")
    pen.text((width - 120, height - margin + 16), f"{len(losses)} steps", "black")
    image.save(path)


# ---- pictures from the background ----------------------------------------------------------------------------------

Row = dict[str, np.ndarray]


class Cache:
    """Rows of arrays on the disk, row k made from seed k: other processes fill it in while the training draws from it.

    columns: {name: (dtype, shape of one row)}. It stays for the next run.
    """

    def __init__(self, folder: Path, rows: int, columns: dict[str, tuple[str, tuple[int, ...]]]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        columns = columns | {"done": ("bool", ())}
        self.arrays = {name: array(folder / f"{name}.npy", rows, *column) for name, column in columns.items()}
        self.done = self.arrays.pop("done")

    def fill(self, make: Callable[[int], Row], worker: int, workers: int) -> None:
        """Make every row that is this worker's and is not done."""
        for row in range(worker, len(self.done), workers):
            if not self.done[row]:
                for name, value in make(row).items():
                    self.arrays[name][row] = value
                self.done[row] = True

    def ready(self) -> int:
        """So many of the first rows are done."""
        return len(self.done) if self.done.all() else int(self.done.argmin())

    def draw(self, rng: np.random.Generator, count: int) -> dict[str, Tensor]:
        """A batch of rows at random. At the start it waits until a few batches are ready."""
        while (ready := self.ready()) < min(8 * count, len(self.done)):
            time.sleep(0.2)
        rows = np.sort(rng.integers(ready, size=count))
        return {name: torch.from_numpy(values[rows]) for name, values in self.arrays.items()}


def array(path: Path, rows: int, dtype: str, shape: tuple[int, ...]) -> np.memmap:
    """The memory-mapped array [rows, *shape] of this file, zeros if it is new or of another shape."""
    if path.exists():
        old = open_memmap(path, mode="r+")
        if (old.shape, old.dtype) == ((rows, *shape), np.dtype(dtype)):
            return old
    return open_memmap(path, "w+", dtype, (rows, *shape))


@contextmanager
def filling(jobs: list[tuple[Callable[[], Cache], Callable[[int], Row]]], workers: int) -> Iterator[None]:
    """While the block runs, `workers` processes fill one cache after the other; each is (how to open it, its rows)."""
    context = torch.multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
    processes = [context.Process(target=work, args=(jobs, k, workers), daemon=True) for k in range(workers)]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.terminate()


def work(jobs: list[tuple[Callable[[], Cache], Callable[[int], Row]]], worker: int, workers: int) -> None:
    """A worker's life. It is polite, so that the training comes first."""
    os.nice(10)
    torch.set_num_threads(1)
    for open_cache, make in jobs:
        open_cache().fill(make, worker, workers)
