"""Rows of arrays on the disk that other processes make while a training draws from those that are there."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from torch import Tensor

Row = dict[str, np.ndarray]


class Cache:
    """Row k is made from seed k. It stays on the disk for the next run.

    columns: {name: (dtype, shape of one row)}.
    """

    def __init__(self, folder: Path, rows: int, columns: dict[str, tuple[str, tuple[int, ...]]]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        columns = columns | {"done": ("bool", ())}
        self.arrays = {name: array(folder / f"{name}.npy", rows, *column) for name, column in columns.items()}
        self.done = self.arrays.pop("done")

    def fill(self, make: Callable[[int], Row], worker: int, workers: int) -> None:
        """Make every row that is this worker's and is not done, as long as somebody waits for them."""
        parent = multiprocessing.parent_process()
        for row in range(worker, len(self.done), workers):
            if parent and not parent.is_alive():
                return
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
