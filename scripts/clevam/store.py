"""The reference's attention on disk: step_<i>.pt holds what is kept of one step, meta.json what it was made with.

What is kept, of both classifier-free halves, in half precision but for the latents:
  kv      keys, values and the queries' mean and spread, of every layer and region that shares
  hidden  what they are made of, once: half the size, and three small multiplications more
  replay  the latent before the step: nearly nothing, and the reference goes through the network again for others
"""

import json
import zipfile
import zlib
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import torch

from clevam import budget
from clevam.attention import Cache
from clevam.errors import UserError
from clevam.files import read_json, write_json

VERSION = 2
REFERENCE = "reference.pt"


class Writer:
    """Fills a folder step by step; nothing stays in memory."""

    def __init__(self, folder: Path, made_with: dict, disk: float | None = None) -> None:
        """disk: GB that all steps may take; where given, the first one tells whether they will fit."""
        self.folder, self.replay, self.disk = folder, made_with["store"] == "replay", disk
        self.steps = len(made_with["timesteps"])
        write_json(folder / "meta.json", made_with | {"version": VERSION})

    def keep(self, inside: torch.Tensor, piece: np.ndarray, maps: Sequence[np.ndarray]) -> None:
        """What a replay needs beside the latents: the crop's labels int64 [h, w], pixels and maps uint8 [H, W, 3]."""
        if self.replay:
            pictures = {"piece": piece} | {f"map_{n:02d}": each for n, each in enumerate(maps)}
            kept = {name: torch.from_numpy(picture) for name, picture in pictures.items()}
            torch.save({"inside": inside.cpu()} | kept, self.folder / REFERENCE)

    def __call__(self, step: int, cache: Cache) -> None:
        kept = {key: tensor for key, tensor in cache.items() if (key == "z") == self.replay}
        if not self.replay:
            kept = {key: halved(tensor) for key, tensor in kept.items()}
        torch.save({key: tensor.cpu().contiguous() for key, tensor in kept.items()}, _file(self.folder, step))
        if self.disk is not None:
            size, disk, self.disk = _file(self.folder, step).stat().st_size, self.disk, None
            budget.check_disk(self.folder, size * (self.steps - 1), size * self.steps, disk)


def halved(x: torch.Tensor) -> torch.Tensor:
    """In half precision: an error of 1e-5 of what the network says (measured)."""
    return x.half() if x.dtype == torch.float32 else x


class Reader:
    """Reads one step at a time, and meanwhile the next. Raises UserError if the folder was made with anything else."""

    def __init__(self, folder: Path, made_with: dict) -> None:
        self.folder, self.steps = folder, len(made_with["timesteps"])
        self.worker, self.ahead = ThreadPoolExecutor(1), {}
        try:
            found = read_json(folder / "meta.json")
        except UserError:
            raise self._damaged("meta.json") from None
        asked = json.loads(json.dumps(made_with | {"version": VERSION}))  # as it is written: lists, no tuples
        for key, value in asked.items():
            if found.get(key) != value:
                raise UserError(f"{folder}: made with {key} {found.get(key)!r}, not {value!r}; delete it and run again")

    def __call__(self, step: int) -> Cache:
        coming = self.ahead.pop(step, None) or self._start(step)
        self.ahead = {step + 1: self._start(step + 1)} if step + 1 < self.steps else {}
        return coming.result()

    def kept(self) -> tuple[torch.Tensor, np.ndarray, list[np.ndarray]]:
        """What `Writer.keep` was given."""
        found = self._load(self.folder / REFERENCE)
        inside, piece = found.pop("inside"), found.pop("piece")
        return inside, piece.numpy(), [found[key].numpy() for key in sorted(found)]

    def _start(self, step: int) -> Future:
        return self.worker.submit(self._load, _file(self.folder, step))

    def _load(self, path: Path) -> Cache:
        try:
            # A .pt is a zip with sums, at which PyTorch does not look: 0.4 s a gigabyte, beside the network.
            with zipfile.ZipFile(path) as archive:
                if archive.testzip():
                    raise ValueError
            mapped = torch.load(path, weights_only=True, mmap=True, map_location="cpu")
            return {key: tensor.clone() for key, tensor in mapped.items()}  # read now, not when it is needed
        except (OSError, RuntimeError, ValueError, EOFError, UnpicklingError, zipfile.BadZipFile, zlib.error):
            raise self._damaged(path.name) from None

    def _damaged(self, name: str) -> UserError:
        return UserError(f"{self.folder / name}: missing or damaged; delete {self.folder} and run again")


def _file(folder: Path, step: int) -> Path:
    return folder / f"step_{step:03d}.pt"
