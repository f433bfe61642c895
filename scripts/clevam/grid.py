"""Several keyframes as tiles of one picture, so that they are painted together (as TemporalKit and others do)."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from clevam.attention import Context

Tiles = tuple[int, int]  # columns and rows


def tiled(each: Sequence[Tensor], tiles: Tiles) -> Tensor:
    """[K][..., h, w] -> [..., rows * h, columns * w], row by row. Where there are too few, the last one is repeated."""
    columns, rows = tiles
    at = [min(n, len(each) - 1) for n in range(columns * rows)]
    lines = [torch.cat([each[n] for n in at[row * columns : (row + 1) * columns]], -1) for row in range(rows)]
    return torch.cat(lines, -2)


def apart(whole: Tensor, tiles: Tiles) -> list[Tensor]:
    """The tiles of [..., rows * h, columns * w], row by row."""
    columns, rows = tiles
    return [tile for line in whole.chunk(rows, -2) for tile in line.chunk(columns, -1)]


def context(each: Sequence[Context], tiles: Tiles) -> Context:
    """What the network is told of a grid, from what it is told of its tiles: a region is what it is in all of them."""
    first = each[0]
    guides = [
        replace(guide, hint=tiled([one.guides[n].hint for one in each], tiles)) for n, guide in enumerate(first.guides)
    ]
    channels = None if first.channels is None else tiled([one.channels for one in each], tiles)
    labels = tiled([one.labels for one in each], tiles)
    return replace(first, labels=labels, channels=channels, guides=guides, _views={}, _cells={})
