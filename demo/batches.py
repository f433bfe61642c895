"""What the trainings of the two finders share: stills drawn in the background, each seen only once, and weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from clevam.states import load_into, read_state
from training import Options, Training
from world import TRAINING_SEEDS, Still, moment, still

Draw = Callable[[np.random.Generator], dict]  # one batch by chance


class Batches(Dataset):
    """Batch number `step` of a seed is the same for any number of workers."""

    def __init__(self, draw: Draw, seed: int) -> None:
        self.draw, self.seed = draw, seed

    def __getitem__(self, step: int) -> dict:
        return self.draw(np.random.default_rng([self.seed, step]))


def drawn(draw: Draw, training: Training) -> Iterator[dict]:
    """The batches of a run from where it stands, their tensors on its device."""
    options = training.options
    batches = Batches(draw, options.seed)
    pinned = options.place.type == "cuda"
    sampler = count(training.steps)
    for batch in DataLoader(batches, None, sampler=sampler, num_workers=options.workers, pin_memory=pinned):
        yield {name: value.to(options.place) if torch.is_tensor(value) else value for name, value in batch.items()}


def load(build: Callable[[], torch.nn.Module], options: Options) -> torch.nn.Module:
    """The network that `build` gives, with the weights that were written, or with first ones."""
    torch.manual_seed(options.seed)
    model = build()
    if options.resume:
        weights = str(options.out / "weights.pth")
        load_into(model, read_state(weights, "--out"), weights, "--out")
    return model


def random_still(rng: np.random.Generator, size: tuple[int, int]) -> Still:
    """A still, or as often a moment of a clip."""
    draw = still if rng.uniform() < 0.5 else moment
    return draw(int(rng.integers(len(TRAINING_SEEDS))), size)
