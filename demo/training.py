"""What the training scripts share: stills drawn in the background, the loop, checkpoints, the curve of the loss.

A folder of weights is its own state of training: whoever trains it again goes on from the weights and the step in it.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import time
from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path

import matplotlib
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from clevam.files import replacing
from clevam.states import load_into, read_state
from world import TRAINING_SEEDS, Still, still

matplotlib.use("Agg")
from matplotlib import pyplot as plt

Draw = Callable[[np.random.Generator], dict]  # one batch by chance
WARM_UP = 100  # steps until the full learning rate
EVERY = 20  # steps that one point of the curve sums up
SAVE = 180  # seconds from one checkpoint to the next


def parser(description: str, out: str, batch: int, rate: float) -> argparse.ArgumentParser:
    """The options that all training scripts have."""
    parser = argparse.ArgumentParser(description=description.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "models" / out)
    parser.add_argument("--steps", type=int, help="stop after this many steps ...")
    parser.add_argument("--minutes", type=float, help="... or after this time, whichever comes first")
    parser.add_argument("--batch", type=int, default=batch, help="stills in a step")
    parser.add_argument("--rate", type=float, default=rate, help="the highest learning rate")
    parser.add_argument("--seed", type=int, default=0, help="of the first weights and of the stills")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 1), help="that draw stills")
    parser.add_argument("--device", default="auto")
    return parser


def pick_device(name: str) -> torch.device:
    if name != "auto":
        return torch.device(name)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


# ---- data --------------------------------------------------------------------------------------------------------


class Batches(Dataset):
    """Batch number `step` of a seed is the same for any number of workers."""

    def __init__(self, draw: Draw, seed: int) -> None:
        self.draw, self.seed = draw, seed

    def __getitem__(self, step: int) -> dict:
        return self.draw(np.random.default_rng([self.seed, step]))


def random_still(rng: np.random.Generator, size: tuple[int, int]) -> Still:
    return still(int(rng.integers(len(TRAINING_SEEDS))), size)


def moved(batch: dict, device: torch.device) -> dict:
    return {name: value.to(device) if torch.is_tensor(value) else value for name, value in batch.items()}


# ---- the loop ----------------------------------------------------------------------------------------------------


def fit(
    model: torch.nn.Module,
    draw: Draw,
    losses_of: Callable[[torch.nn.Module, dict], dict[str, torch.Tensor]],
    save: Callable[[Path], None],
    options: argparse.Namespace,
) -> None:
    """Train a model on its device. losses_of: its losses for a batch, by name; their sum is what shrinks."""
    if options.steps is None and options.minutes is None:
        raise SystemExit("say how long to train: --steps or --minutes")
    device = next(model.parameters()).device
    torch.set_float32_matmul_precision("high")
    curve = Curve(options.out)
    # The rate falls to zero over this run, so a run that goes on from good weights starts with a fresh, warmed-up one.
    optimizer = torch.optim.AdamW(model.parameters(), options.rate, weight_decay=0.01)
    pinned = device.type == "cuda"
    drawn = Batches(draw, options.seed)
    batches = DataLoader(drawn, None, sampler=count(curve.step), num_workers=options.workers, pin_memory=pinned)
    start = saved = time.monotonic()
    model.train()
    with tqdm(total=options.steps, desc=options.out.name, unit="step") as bar:
        for step, batch in enumerate(batches):
            done = progress(step, time.monotonic() - start, options)
            if done >= 1:
                break
            for group in optimizer.param_groups:
                group["lr"] = options.rate * min(1, (step + 1) / WARM_UP) * (1 + math.cos(math.pi * done)) / 2
            losses = losses_of(model, moved(batch, device))
            optimizer.zero_grad()
            sum(losses.values()).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            bar.update()
            if curve.add(losses):
                bar.set_postfix(curve.last, lr=f"{group['lr']:.1e}")
            if time.monotonic() - saved > SAVE:
                saved = time.monotonic()
                curve.write()
                save(options.out)
    curve.write()
    save(options.out)


def progress(step: int, seconds: float, options: argparse.Namespace) -> float:
    """How much of the run is over: 0 to 1."""
    return max(step / (options.steps or math.inf), seconds / (60 * (options.minutes or math.inf)))


def go_on(build: Callable[[], torch.nn.Module], settings: Path, sizes: dict, seed: int) -> torch.nn.Module:
    """The network of the weights.pth beside a file of settings, or a new one if that is not of these sizes."""
    weights = settings.with_name("weights.pth")
    known = weights.exists() and json.loads(settings.read_text()) == sizes
    torch.manual_seed(seed)
    model = build()
    if known:
        load_into(model, read_state(str(weights), "--out"), str(weights), "--out")
    return model


class Curve:
    """The losses so far: loss.csv and loss.png in the folder of the weights."""

    def __init__(self, folder: Path) -> None:
        self.path, self.sums, self.count = folder / "loss.csv", {}, 0
        rows = csv.DictReader(self.path.read_text().splitlines() if self.path.exists() else [])
        self.rows = [{name: float(value) for name, value in row.items()} for row in rows]
        self.step = int(self.rows[-1]["step"]) if self.rows else 0

    @property
    def last(self) -> dict[str, str]:
        return {name: f"{value:.3f}" for name, value in self.rows[-1].items() if name != "step"}

    def add(self, losses: dict[str, torch.Tensor]) -> bool:
        """Take in one step; True if that completes a point of the curve."""
        # Sums stay on the device: to read every loss would make a GPU wait.
        self.sums = {name: loss.detach() + self.sums.get(name, 0) for name, loss in losses.items()}
        self.step, self.count = self.step + 1, self.count + 1
        if self.count < EVERY:
            return False
        self.rows.append({"step": self.step} | {name: total.item() / EVERY for name, total in self.sums.items()})
        self.sums, self.count = {}, 0
        return True

    def write(self) -> None:
        if self.rows:
            with replacing(self.path) as part:
                part.write_text("\n".join(self.lines()) + "\n")
            with replacing(self.path.with_suffix(".png")) as part:
                self.draw(part)

    def lines(self) -> Iterable[str]:
        yield ",".join(self.rows[0])
        for row in self.rows:
            yield ",".join(f"{value:.5g}" if name != "step" else f"{value:.0f}" for name, value in row.items())

    def draw(self, path: Path) -> None:
        figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
        for name in self.rows[0].keys() - {"step"}:
            axes.plot([row["step"] for row in self.rows], [row[name] for row in self.rows], label=name)
        axes.set(xlabel="step", ylabel="loss", yscale="log")
        axes.legend()
        figure.savefig(path, format="png")
        plt.close(figure)
