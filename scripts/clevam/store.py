"""The reference's attention on disk: step_<i>.pt holds one step's cache, meta.json what it was made with."""

from pathlib import Path
from pickle import UnpicklingError

import torch

from clevam.attention import Cache
from clevam.errors import UserError
from clevam.files import read_json, write_json

VERSION = 1


class Writer:
    """Fills a folder step by step; nothing is kept in memory."""

    def __init__(self, folder: Path, made_with: dict) -> None:
        self.folder = folder
        write_json(folder / "meta.json", made_with | {"version": VERSION})

    def __call__(self, step: int, cache: Cache) -> None:
        torch.save({key: tensor.cpu().contiguous() for key, tensor in cache.items()}, _file(self.folder, step))


class Reader:
    """Reads one step at a time. Raises UserError if the folder was made with anything else than `made_with`."""

    def __init__(self, folder: Path, made_with: dict) -> None:
        self.folder = folder
        try:
            found = read_json(folder / "meta.json")
        except (OSError, ValueError):
            raise self._damaged("meta.json") from None
        for key, value in (made_with | {"version": VERSION}).items():
            if found.get(key) != value:
                raise UserError(f"{folder}: made with {key} {found.get(key)!r}, not {value!r}; delete it and run again")

    def __call__(self, step: int) -> Cache:
        path = _file(self.folder, step)
        try:
            return torch.load(path, weights_only=True, mmap=True, map_location="cpu")
        except (OSError, RuntimeError, ValueError, EOFError, UnpicklingError):
            raise self._damaged(path.name) from None

    def _damaged(self, name: str) -> UserError:
        return UserError(f"{self.folder / name}: missing or damaged; delete {self.folder} and run again")


def _file(folder: Path, step: int) -> Path:
    return folder / f"step_{step:03d}.pt"
