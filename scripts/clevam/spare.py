"""What a stage does when memory runs out: fewer keyframes at a time, then pictures in pieces."""

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

from clevam.errors import UserError
from clevam.files import write_json

RECORD = "memory.json"  # in a job's folder, where it had to spare: {"batch": of the smallest, "tiling": bool}


@dataclass
class Spare:
    """Work on some things at a time, and on fewer when it has to be.

    tile: has pictures decoded in pieces from now on; False if they were already.
    """

    tile: Callable[[], bool]
    most: int | None = None
    tiling: bool = False

    def each(self, groups: Iterable[list], work: Callable[[list], None], whole: bool = False) -> None:
        """Call `work` with every group, or with parts of it if memory runs out; whole: a group cannot be parted.

        Raises UserError where even the least does not fit.
        """
        for group in groups:
            rest = [group]
            while rest:
                part = rest.pop(0)
                if self.most and len(part) > self.most and not whole:
                    rest[:0] = [part[: self.most], part[self.most :]]
                elif not fits(work, part):
                    self.less(1 if whole else len(part))
                    rest.insert(0, part)

    def less(self, count: int) -> None:
        """Spare memory after so many things at a time were too much."""
        if count > 1:
            self.most = count // 2
            print(f"warning: out of memory with {count} keyframes at a time; now {self.most}", file=sys.stderr)
        elif not self.tiling and self.tile():
            self.tiling = True
            print("warning: out of memory; pictures are decoded in pieces now (faint seams)", file=sys.stderr)
        else:
            raise UserError(
                "out of memory with one keyframe at a time, decoded in pieces; set runtime.offload: layers, a smaller "
                "plan.size, or share.store: replay"
            )


def sparing(
    folder: Path, tile: Callable[[], bool], groups: Iterable[list], work: Callable[[list], None], whole: bool = False
) -> None:
    """Spare(tile).each(groups, work, whole), written down in `folder` if memory was spared."""
    spare = Spare(tile)
    spare.each(groups, work, whole)
    if spare.most or spare.tiling:
        write_json(folder / RECORD, {"batch": spare.most, "tiling": spare.tiling})


def fits(work: Callable[[list], None], part: list) -> bool:
    """Do the work; False if memory ran out."""
    try:
        work(part)
    except torch.OutOfMemoryError:
        pass  # what failed is held until its error is gone
    else:
        return True
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return False
