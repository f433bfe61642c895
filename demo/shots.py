"""What a shot of the toy world is made of: flat pictures that move, a camera over them, and light.

A point is one complex number x + iy, y down. It has three descriptions:
    local    as its layer sees it: in radii for an object.
    world    0 is the middle of the picture of a camera at rest, and the unit is the shorter side of that picture.
    pixels   the centre of the top left pixel is 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from grounds import GROUNDS, smooth
from things import Look, Post

KNOT = 0.8  # seconds between two knots of a motion
PENUMBRA = 0.3  # radii, the width of a shadow's edge
HEIGHT = 0.2  # radii, how far a shadow lies from its object
SHADING = 0.2  # share of the light by which the two ends of an object are brighter and darker than its middle

# ---- motion ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pose:
    """Similarity transform from a layer's own points to another space, complex arrays both ways."""

    centre: complex  # where the local point 0 is
    gain: complex  # size of a local unit, times exp(i angle)

    def to_pixels(self, local: np.ndarray) -> np.ndarray:
        return self.centre + self.gain * local

    def to_local(self, pixels: np.ndarray) -> np.ndarray:
        return (pixels - self.centre) / self.gain

    def __matmul__(self, inner: Pose) -> Pose:
        """First `inner`, then this one."""
        return Pose(self.to_pixels(inner.centre), self.gain * inner.gain)


@dataclass(frozen=True)
class Spline:
    """A smooth value over time: the uniform cubic B-spline of at least two knots. It starts at the first one, passes
    close to the others, ends at the last one and stays there."""

    knots: tuple[complex, ...]
    step: float = KNOT  # seconds from one knot to the next

    def at(self, seconds: float) -> complex:
        first, second, *_ = self.knots
        *_, before, last = self.knots
        knots = (2 * first - second, *self.knots, 2 * last - before)  # so both ends are straight
        s = min(max(seconds / self.step, 0), len(self.knots) - 1)
        i = min(int(s), len(self.knots) - 2)
        u = s - i
        weights = (1 - u) ** 3, 3 * u**3 - 6 * u**2 + 4, 1 + 3 * u + 3 * u**2 - 3 * u**3, u**3
        return sum(weight * knot for weight, knot in zip(weights, knots[i : i + 4], strict=True)) / 6


def fixed(value: complex) -> Spline:
    """The value that never changes."""
    return Spline((value, value))


@dataclass(frozen=True)
class Motion:
    """The pose of a layer over time."""

    centre: Spline
    log_gain: Spline  # its real part zooms, its imaginary part turns clockwise on the screen, in radians

    def at(self, seconds: float) -> Pose:
        return Pose(self.centre.at(seconds), complex(np.exp(self.log_gain.at(seconds))))


AT_REST = Motion(fixed(0), fixed(0))


# ---- layers ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Background:
    """The endless ground behind everything; its local unit is that of the world, unless its motion zooms it."""

    kind: str  # a key of GROUNDS
    seed: int

    def distance(self, local: np.ndarray) -> np.ndarray:
        """Negative infinity: every point lies inside."""
        return np.full(local.shape, -np.inf)

    def paint(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Local coordinates that broadcast to [...] -> RGB float64 [..., 3] in [0, 255]."""
        return GROUNDS[self.kind].paint(x, y, self.seed)


@dataclass(frozen=True)
class Layer:
    """A flat picture that moves."""

    surface: Background | Look | Post
    motion: Motion  # from local points to the world


@dataclass(frozen=True)
class Light:
    """Where light comes from and what it does; the same for the whole shot."""

    towards: complex  # the direction from which it comes, of length 1, y down
    shadow: float  # share of the light that a shadow takes; 0: no shadows

    def on(self, surface: Look | Post, local: np.ndarray, pose: Pose) -> np.ndarray:
        """Brightness of an object at its local points, complex [...] to float64 [...]; 1 in its middle."""
        return 1 + SHADING * (surface.lean(local) * np.conj(self.seen_from(pose))).real

    def behind(self, surface: Look | Post, local: np.ndarray, pose: Pose) -> np.ndarray:
        """Brightness of what lies behind an object, at its local points, complex [...] to float64 [...]."""
        depth = -surface.distance(local + HEIGHT * self.seen_from(pose))
        return 1 - self.shadow * smooth(0.5 + depth / PENUMBRA)

    def seen_from(self, pose: Pose) -> complex:
        """The direction as the layer sees it, which may have turned."""
        return self.towards * abs(pose.gain) / pose.gain


@dataclass(frozen=True)
class Shot:
    """What happens between two cuts."""

    first: int  # the number of its first frame
    layers: tuple[Layer, ...]  # from back to front: the background, the objects, perhaps a post
    camera: Motion  # from the world to the picture of a camera at rest
    light: Light

    @property
    def kind(self) -> str:
        """Of the background, a key of GROUNDS."""
        return self.layers[0].surface.kind

    def with_look(self, k: int, look: Look) -> Shot:
        """The same shot, but that the object of label k looks so."""
        layers = list(self.layers)
        layers[k] = replace(layers[k], surface=look)
        return replace(self, layers=tuple(layers))
