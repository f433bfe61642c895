"""Keyframes through a network, some at a time: fewer when memory runs out, then pictures in pieces."""

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from tqdm import tqdm

from clevam.errors import UserError
from clevam.files import write_json

RECORD = "memory.json"  # in a job's folder, where it had to spare: {"batch": of the smallest, "tiling": bool}
BAR = "{l_bar}{bar}| {n:.1f}/{total} [{elapsed}<{remaining}, {rate_fmt}]"  # keyframes are counted by their steps


@dataclass
class Spare:
    """Work on some things at a time, and on fewer when it has to be.

    tile: has pictures decoded in pieces from now on; False if they were already.
    """

    tile: Callable[[], bool]
    most: int | None = None
    tiling: bool = False
    bar: tqdm | None = field(default=None, init=False)
    done: int = field(default=0, init=False)  # keyframes
    share: int = field(default=0, init=False)  # of them that are at work

    def each(self, folder: Path, groups: Iterable[list], work: Callable[[list], None], whole: bool = False) -> None:
        """Call `work` with every group, or with parts of it if memory runs out; whole: a group cannot be parted.

        In the results' folder it is written down if memory was spared. Raises UserError where the least does not fit.
        """
        groups, self.done = list(groups), 0
        with tqdm(total=sum(map(len, groups)), desc="keyframes", unit="keyframe", bar_format=BAR) as self.bar:
            for group in groups:
                rest = [group]
                while rest:
                    part = rest.pop(0)
                    if self.most and len(part) > self.most and not whole:
                        rest[:0] = [part[: self.most], part[self.most :]]
                        continue
                    self.share = len(part)
                    if fits(work, part):
                        self.done += len(part)
                    else:
                        self.less(1 if whole else len(part))
                        rest.insert(0, part)
                    self.bar.n = self.done
                    self.bar.refresh()
        if self.most or self.tiling:
            write_json(folder / RECORD, {"batch": self.most, "tiling": self.tiling})

    def steps(self, moves: Iterable) -> Iterator:
        """The moves through the network, each counted as its part of the keyframes at work."""
        moves = list(moves)
        for number, move in enumerate(moves, 1):
            yield move
            if self.bar is not None:
                self.bar.update(self.done + self.share * number / len(moves) - self.bar.n)

    def less(self, count: int) -> None:
        """Spare memory after so many things at a time were too much."""
        if count > 1:
            self.most = count // 2
            tqdm.write(f"warning: out of memory with {count} keyframes at a time; now {self.most}", file=sys.stderr)
        elif not self.tiling and self.tile():
            self.tiling = True
            tqdm.write("warning: out of memory; pictures are decoded in pieces now (faint seams)", file=sys.stderr)
        else:
            raise UserError(
                "out of memory with one keyframe at a time, decoded in pieces; set runtime.offload: layers, a smaller "
                "plan.size, or share.store: replay"
            )


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
