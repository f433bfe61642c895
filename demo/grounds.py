"""What the backgrounds of the toy world look like: noise with the same bits on every machine, and pictures made of it.

A background is a formula over the whole plane, so a camera may go anywhere and come as near as it likes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# ---- noise -------------------------------------------------------------------------------------------------------


def lattice(x: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
    """A fixed random number in [0, 1) for every point (x, y) of whole float64 numbers; broadcasts, float64 out."""
    # Integers modulo 2**64 give the same bits on every machine; the odd constants are those of splitmix64 and xxHash.
    x, y = x.astype(np.int64).astype(np.uint64), y.astype(np.int64).astype(np.uint64)
    h = x * np.uint64(0x9E3779B97F4A7C15) + y * np.uint64(0xC2B2AE3D27D4EB4F)
    h = h + np.uint64(seed * 0x165667B19E3779F9 % 2**64)
    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((h ^ (h >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53


def cells(x: np.ndarray, y: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, int]:
    """`lattice` at whole points that many pixels share, each value computed once.

    Returns a flat table, the index in it of every point (x, y), and how much further on (x, y + 1) lies; (x + 1, y) is
    the next one. Shapes broadcast.
    """
    columns, rows = np.arange(x.min(), x.max() + 2), np.arange(y.min(), y.max() + 2)
    table = lattice(columns[None, :], rows[:, None], seed).ravel()
    return table, ((y - rows[0]) * len(columns) + (x - columns[0])).astype(np.intp), len(columns)


def noise(x: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
    """Value noise in [0, 1): random at the integer points, smooth between them. float64; shapes broadcast."""
    x0, y0 = np.floor(x), np.floor(y)
    table, at, down = cells(x0, y0, seed)
    u, v = smooth(x - x0), smooth(y - y0)
    top, bottom = (mix(table[corner], table[corner + 1], u) for corner in (at, at + down))
    return mix(top, bottom, v)


def fractal(x: np.ndarray, y: np.ndarray, octaves: int, seed: int) -> np.ndarray:
    """Sum of noises, each half as large and twice as fine as the one before, scaled into [0, 1)."""
    layers = [noise(x * 2**k, y * 2**k, seed + k) * 2.0**-k for k in range(octaves)]
    return sum(layers) / (2 - 2.0 ** (1 - octaves))


def smooth(x: np.ndarray) -> np.ndarray:
    """The smooth step: 0 up to x = 0, 1 from x = 1 on, flat at both ends."""
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def ramp(x: np.ndarray) -> np.ndarray:
    """Distance from x to the nearest integer, in [0, 0.5]."""
    return np.abs(x - np.rint(x))


def mix(a: np.ndarray, b: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """a where weight is 0, b where it is 1, to the last bit; linear between."""
    return a * (1 - weight) + b * weight


def blend(a: tuple, b: tuple, weight: np.ndarray) -> np.ndarray:
    """`mix` of two RGB colours by weight [...]: float64 [..., 3]."""
    return mix(np.array(a, float), np.array(b, float), weight[..., None])


# ---- pictures ----------------------------------------------------------------------------------------------------
# Each: x, y float64 that broadcast to [...], seed -> RGB float64 [..., 3] in [0, 255]. In a picture of one by one the
# finest grain is about 1 / 50: enough for optical flow to hold on to, coarse enough for a small file.


def grass(x: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
    meadow = fractal(x * 3, y * 3, 2, seed)
    blades = fractal(x * 40, y * 13, 2, seed + 10)
    return blend((58, 108, 42), (150, 188, 84), smooth(0.45 * meadow + 0.75 * blades - 0.1))


def sand(x: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
    bend = fractal(x * 3, y * 3, 2, seed)
    ripples = 0.5 + 0.5 * np.sin(2 * np.pi * (7 * y + 2.2 * bend))
    grain = fractal(x * 25, y * 25, 2, seed + 10)
    return blend((196, 160, 104), (240, 214, 164), 0.35 * ripples + 0.25 * bend + 0.4 * grain)


def sky(x: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
    clouds = smooth(2.8 * fractal(x * 2.2, y * 3.6, 4, seed) - 1.05)
    haze = fractal(x * 13, y * 17, 2, seed + 10)  # the clear sky too must give optical flow something to follow
    return blend((94, 158, 224), (250, 251, 253), 0.85 * clouds + 0.15 * haze)


def sea(x: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
    swell = fractal(x * 4, y * 4, 2, seed)
    crests = 1 - 2 * ramp(5 * y + 2.4 * swell + 0.5 * noise(x * 9, y * 20, seed + 10))
    water = blend((8, 70, 96), (34, 138, 146), 0.45 * swell + 0.55 * crests)
    foam = smooth(6 * crests - 5.1) * smooth(5 * noise(x * 7, y * 12, seed + 20) - 2)
    return mix(water, np.array((226, 240, 238.0)), 0.8 * foam[..., None])


def snow(x: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
    drifts = ramp(3.2 * y + 2.2 * fractal(x * 1.6, y * 1.6, 2, seed))  # ridges that the wind has made
    grain = noise(x * 30, y * 30, seed + 10)
    return blend((170, 184, 216), (252, 253, 255), 0.8 * smooth(3 * drifts - 0.1) + 0.2 * grain)


def night(x: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
    haze = 0.7 * fractal(x * 2, y * 2, 2, seed) + 0.3 * fractal(x * 13, y * 13, 2, seed + 20)
    cell_x, cell_y = np.floor(x * 13), np.floor(y * 13)
    # One star in each cell, away from its sides, so that no neighbouring cell needs a look.
    tables = [cells(cell_x, cell_y, seed + k) for k in (10, 11, 12)]
    star_x, star_y, light = (table[at] for table, at, _ in tables)
    away = np.hypot(x * 13 - cell_x - 0.25 - 0.5 * star_x, y * 13 - cell_y - 0.25 - 0.5 * star_y)
    stars = smooth(1 - away / (0.12 + 0.13 * light)) * light
    return mix(blend((8, 10, 30), (48, 52, 102), haze), np.array((255, 252, 226.0)), stars[..., None])


def stone(x: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
    rough = fractal(x * 12, y * 12, 3, seed)
    cracks = smooth(14 * np.abs(fractal(x * 3, y * 3, 3, seed + 10) - 0.5))
    return blend((98, 100, 104), (168, 168, 166), rough) * mix(0.5, 1.0, cracks)[..., None]


def brick(x: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
    row = np.floor(y * 9)
    along = x * 4.5 + 0.5 * (row % 2)
    edge = np.minimum(ramp(along) / 4.5, ramp(y * 9) / 9)  # distance to the nearest joint
    table, at, _ = cells(np.floor(along), row, seed)
    face = blend((142, 74, 58), (192, 112, 86), 0.6 * table[at] + 0.4 * fractal(x * 25, y * 25, 2, seed + 10))
    return mix(np.array((206, 196, 182.0)), face, smooth((edge - 0.004) / 0.006)[..., None])


def wood(x: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
    plank = np.floor(y * 5)
    shift = lattice(plank, plank, seed)
    edge = np.minimum(ramp(x * 0.9 + 7 * shift) / 0.9, ramp(y * 5) / 5)  # distance to the nearest joint
    fibres = fractal(x * 5 + 50 * shift, y * 40, 2, seed + 10)
    spots = noise(x * 22, y * 22, seed + 20)
    face = blend((124, 78, 42), (200, 148, 94), 0.35 * shift + 0.4 * fibres + 0.25 * spots)
    return face * mix(0.6, 1.0, smooth(edge / 0.012))[..., None]


@dataclass(frozen=True)
class Ground:
    """A kind of background."""

    paint: Callable[[np.ndarray, np.ndarray, int], np.ndarray]
    place: str  # how a caption ends
    clashes: tuple[str, ...]  # colours of objects that would be hard to see on it
    shadow: float  # share of the light that a shadow takes: none in the open sky


GROUNDS = {
    "grass": Ground(grass, "on grass", ("green",), 0.45),
    "sand": Ground(sand, "on sand", ("yellow", "orange", "white"), 0.45),
    "sky": Ground(sky, "in the sky", ("white", "blue"), 0.0),
    "sea": Ground(sea, "on the sea", ("blue", "green"), 0.4),
    "snow": Ground(snow, "on snow", ("white",), 0.4),
    "night": Ground(night, "at night", ("black",), 0.0),
    "stone": Ground(stone, "on stone", ("black", "white"), 0.45),
    "brick": Ground(brick, "in front of a brick wall", ("red", "orange", "pink"), 0.45),
    "wood": Ground(wood, "on a wooden floor", ("orange", "yellow"), 0.45),
}
