"""What may be A on a keyframe: masks with a detector's boxes and scores, one file <idx>.npz per keyframe."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from clevam import images
from clevam.errors import UserError
from clevam.files import replacing

KEYS = ("region", "scores", "boxes", "masks")


@dataclass(frozen=True)
class Candidates:
    """C masks, the likeliest of a region first.

    region: int64 [C], whose A it may be, from 0; scores: float32 [C], 0..1; boxes: float32 [C, 4] as x0, y0, x1, y1 in
    pixels; masks: bool [C, H, W].
    """

    region: np.ndarray
    scores: np.ndarray
    boxes: np.ndarray
    masks: np.ndarray

    @classmethod
    def certain(cls, masks: dict[int, np.ndarray], size: tuple[int, int]) -> "Candidates":
        """One for each region where there is no doubt: {region: bool [H, W]}; size: (height, width)."""
        return cls(
            np.array(list(masks), np.int64),
            np.ones(len(masks), np.float32),
            np.array([box_of(mask) for mask in masks.values()], np.float32).reshape(-1, 4),
            np.array(list(masks.values()), bool).reshape(-1, *size),
        )

    def __add__(self, other: "Candidates") -> "Candidates":
        return Candidates(*(np.concatenate([getattr(self, key), getattr(other, key)]) for key in KEYS))

    def renamed(self, region: int, to: int) -> "Candidates":
        """Those of one region, as another's."""
        own = self.of(region)
        return Candidates(np.full(len(own), to), *(getattr(self, key)[own] for key in KEYS[1:]))

    def of(self, region: int) -> np.ndarray:
        """The numbers of a region's candidates."""
        return np.flatnonzero(self.region == region)


def box_of(mask: np.ndarray) -> list[int]:
    """The pixel box x0, y0, x1, y1 around a mask; all zeros where it is empty."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1] if len(rows) else [0, 0, 0, 0]


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two masks, bool or shares 0..1."""
    return float(np.minimum(a, b).sum() / max(np.maximum(a, b).sum(), 1e-9))


def write_all(target: str, size: Sequence[int], found: Iterable[tuple[str, Candidates]]) -> None:
    """Write a folder of keyframes' candidates; size: (width, height) that all must have."""
    with replacing(target) as folder:
        folder.mkdir()
        for name, each in tqdm(found, desc="candidates", unit="frame"):
            if list(each.masks.shape[:0:-1]) != list(size):
                was, wanted = ("x".join(map(str, s)) for s in (each.masks.shape[:0:-1], size))
                raise UserError(f"masks.path: the mask of frame {int(name)} is {was}; make it {wanted}, as the video")
            write(folder / f"{name}.npz", each)


def search(
    pictures: Mapping[str, str], phrases: Sequence[str | None], find: Callable
) -> Iterator[tuple[str, Candidates]]:
    """What the phrases may name in keyframes {name: path}; None stands for the whole frame.

    find: finder.Finder or attribution.Attribution.
    """
    asked = [r for r, phrase in enumerate(phrases) if phrase is not None]
    whole = [r for r, phrase in enumerate(phrases) if phrase is None]
    unique = list(dict.fromkeys(phrases[r] for r in asked))  # two regions may be two of the same kind
    for name, path in pictures.items():
        picture = images.read_rgb(path)
        seen, size = find(picture, unique), picture.shape[:2]
        everything = Candidates.certain({r: np.ones(size, bool) for r in whole}, size)
        yield name, sum((seen.renamed(unique.index(phrases[r]), r) for r in asked), everything)


def write(path: str | Path, found: Candidates) -> None:
    bits = {"masks": np.packbits(found.masks), "size": np.array(found.masks.shape)}
    np.savez_compressed(path, region=found.region, scores=found.scores, boxes=found.boxes, **bits)


def read(path: str | Path) -> Candidates:
    """Raises UserError if the file is missing or damaged."""
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as stored:
            size = stored["size"].tolist()
            masks = np.unpackbits(stored["masks"], count=int(np.prod(size))).reshape(size).view(bool)
            return Candidates(stored["region"], stored["scores"], stored["boxes"], masks)
    except MemoryError:
        raise
    except Exception:  # zipfile and zlib have a dozen ways to say that bytes are damaged
        raise UserError(f"{path}: missing or damaged; delete the folder {Path(path).parent} and run again") from None
