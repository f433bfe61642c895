"""What the objects of the toy world look like and how they are called: a shape, a colour and a texture each.

    look = Look.named("a blue dotted star")
    look.name                      # "blue dotted star"
    look.distance(z), look.paint(z, soft)

Local points are complex numbers x + iy, in radii, y down: the outline touches the circle of radius 1 (and its rounded
corners reach a little beyond).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np

from grounds import GROUNDS, blend, fractal, mix, ramp, smooth

ROUNDING = 0.06  # radii, of the corners of the shapes

COLOURS = {
    "red": (214, 38, 42),
    "orange": (245, 132, 28),
    "yellow": (250, 212, 50),
    "green": (48, 160, 76),
    "blue": (38, 92, 210),
    "purple": (124, 60, 178),
    "pink": (246, 130, 178),
    "white": (242, 242, 238),
    "black": (48, 48, 56),
}

# ---- shapes ------------------------------------------------------------------------------------------------------
# Local points complex [...] -> signed distance to the outline, float64 [...], in radii, negative inside. Exact outside;
# inside it may understate the depth.


def circle(z: np.ndarray) -> np.ndarray:
    return np.abs(z) - 1


def ring(z: np.ndarray) -> np.ndarray:
    return np.abs(np.abs(z) - 0.71) - 0.29


def rosette(z: np.ndarray, tips: int, waist: float) -> np.ndarray:
    """A polygon with `tips` corners at radius 1, the first one straight up, and between two of them a point at radius
    `waist`: a star, or with waist = cos(pi / tips) the regular polygon. Its corners are rounded outwards."""
    # All half sectors are mirror images, so the nearest outline point lies in the half sector of the point itself.
    half = np.pi / tips
    turn = np.angle(z * 1j)
    folded = np.abs(z) * np.exp(1j * np.abs((turn + half) % (2 * half) - half))
    side = waist * np.exp(1j * half) - 1
    along = np.conj(side) * (folded - 1)
    nearest = 1 + side * np.clip(along.real / abs(side) ** 2, 0, 1)
    inside = along.imag > 0
    return np.abs(folded - nearest) * np.where(inside, -1, 1) - ROUNDING


def cross(z: np.ndarray) -> np.ndarray:
    x, y = np.abs(z.real), np.abs(z.imag)
    x, y = np.maximum(x, y) - 0.95, np.minimum(x, y) - 0.27
    return np.hypot(np.maximum(x, 0), np.maximum(y, 0)) + np.minimum(np.maximum(x, y), 0) - ROUNDING


def heart(z: np.ndarray) -> np.ndarray:
    # A square on its corner with two half discs on its upper sides. Here the tip is at 0, y goes up, the notch is at i.
    x, y = np.abs(z.real) * 0.64, 0.63 - z.imag * 0.64
    lobe = np.hypot(x - 0.25, y - 0.75) - np.sqrt(0.125)
    foot = np.maximum(x + y, 0) / 2
    side = np.minimum(np.hypot(x, y - 1), np.hypot(x - foot, y - foot)) * np.where(x < y, -1, 1)
    return np.where(x + y > 1, lobe, side) / 0.64


def moon(z: np.ndarray) -> np.ndarray:
    # The unit disc without a disc of radius 0.8 around 0.5; their circles meet in the horns, at 0.61 +- 0.79i.
    x, y = z.real, np.abs(z.imag)
    horn = 0.61 + 1j * np.sqrt(1 - 0.61**2)
    rim = np.maximum(np.abs(z) - 1, 0.8 - np.abs(z - 0.5))
    beyond = x * horn.imag - y * horn.real > 0.5 * np.maximum(horn.imag - y, 0)
    return np.where(beyond, np.hypot(x - horn.real, y - horn.imag), rim) - ROUNDING


SHAPES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "circle": circle,
    "square": partial(rosette, tips=4, waist=np.cos(np.pi / 4)),
    "triangle": partial(rosette, tips=3, waist=np.cos(np.pi / 3)),
    "star": partial(rosette, tips=5, waist=0.5),
    "heart": heart,
    "cross": cross,
    "ring": ring,
    "moon": moon,
}

SAME = {"ball": "circle"}  # other words for shapes

# ---- textures ----------------------------------------------------------------------------------------------------
# Local points complex [...], width of a soft edge in radii -> weight of the second tone, float64 in [0, 1].


def plain(z: np.ndarray, soft: float) -> np.ndarray:
    return np.zeros(z.shape)


def striped(z: np.ndarray, soft: float) -> np.ndarray:
    return stripes(z.real, 0.54, soft)


def dotted(z: np.ndarray, soft: float) -> np.ndarray:
    pitch = 0.48
    row = np.rint(z.imag / pitch)
    x = z.real / pitch + 0.5 * (row % 2)
    distance = np.hypot(ramp(x), ramp(z.imag / pitch)) * pitch - 0.135
    return smooth(0.5 - distance / soft)


def checkered(z: np.ndarray, soft: float) -> np.ndarray:
    a, b = stripes(z.real, 0.8, soft), stripes(z.imag, 0.8, soft)
    return a + b - 2 * a * b


def stripes(x: np.ndarray, period: float, soft: float) -> np.ndarray:
    """1 on every other band of half a period, 0 between; 0.25 period from an edge at x = 0."""
    return smooth(0.5 + (ramp(x / period) - 0.25) * period / soft)


TEXTURES: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "plain": plain,
    "striped": striped,
    "dotted": dotted,
    "checkered": checkered,
}


def second_tone(colour: str) -> tuple[float, ...]:
    """The colour of stripes and dots: cream on most objects, darker on those that are light themselves."""
    target, weight = {
        "white": ((96, 96, 110), 0.7),
        "yellow": ((120, 84, 30), 0.75),
        "black": ((255, 255, 255), 0.55),
    }.get(colour, ((255, 250, 236), 0.8))
    return tuple(mix(np.array(COLOURS[colour], float), np.array(target, float), weight))


# ---- objects -----------------------------------------------------------------------------------------------------


KINDS = {"shape": SHAPES, "colour": COLOURS, "texture": TEXTURES}


@dataclass(frozen=True)
class Look:
    """What an object looks like, wherever it is."""

    shape: str  # a key of SHAPES
    colour: str  # a key of COLOURS
    texture: str = "plain"  # a key of TEXTURES

    def __post_init__(self) -> None:
        for kind, known in KINDS.items():
            if getattr(self, kind) not in known:
                raise ValueError(f"{kind} {getattr(self, kind)!r} is not known: take one of {', '.join(known)}")

    @classmethod
    def named(cls, phrase: str) -> Look:
        """The look that a phrase names: "a blue dotted star"."""
        words = phrase.lower().split()
        found = {kind: word for word in words for kind, known in KINDS.items() if word in known}
        if len(found.keys() & {"shape", "colour"}) < 2 or set(words) - set(found.values()) - {"a", "an", "the"}:
            raise ValueError(f"{phrase!r} names no object: say colour, texture (or none), shape: 'a blue dotted star'")
        return cls(**found)

    @property
    def words(self) -> tuple[str, ...]:
        """Its name word for word; a plain texture goes without saying."""
        return tuple(word for word in (self.colour, self.texture, self.shape) if word != "plain")

    @property
    def name(self) -> str:
        """Words for it without an article: "red striped circle"."""
        return " ".join(self.words)

    def fits(self, words: tuple[str, ...]) -> bool:
        """Whether every one of the words is true of it; "red circle" is true of a red striped circle."""
        return set(words) <= {self.shape, self.colour, self.texture}

    def likeness(self, other: Look) -> int:
        """In how many of shape, colour and texture they agree, 0 to 3."""
        return (self.shape == other.shape) + (self.colour == other.colour) + (self.texture == other.texture)

    def distance(self, local: np.ndarray) -> np.ndarray:
        """Local points complex [...] to signed distance from the outline in radii, negative inside.

        Beyond 0.25 radii outside the disc around the shape, where nobody asks, it is a quick lower bound.
        """
        distance = np.abs(local) - (1 + ROUNDING)
        near = distance < 0.25
        distance[near] = SHAPES[self.shape](local[near])
        return distance

    def lean(self, local: np.ndarray) -> np.ndarray:
        """Which way the surface faces besides towards us, 1 at the most, as if it were a dome: complex to complex."""
        return local

    def paint(self, local: np.ndarray, soft: float) -> np.ndarray:
        """Local points complex [...], width of a soft edge in radii -> RGB float64 [..., 3] in [0, 255]."""
        tones = blend(COLOURS[self.colour], second_tone(self.colour), TEXTURES[self.texture](local, soft))
        return tones * mix(0.8, 1.0, smooth(-self.distance(local) / 0.25))[..., None]  # a darker rim


@dataclass(frozen=True)
class Post:
    """An endless weathered post, which may pass in front of the objects; its local unit is half its width."""

    seed: int

    def distance(self, local: np.ndarray) -> np.ndarray:
        """As of `Look`."""
        return np.abs(local.real) - 1

    def lean(self, local: np.ndarray) -> np.ndarray:
        """As of `Look`, but it is round like a trunk."""
        return local.real

    def paint(self, local: np.ndarray, soft: float) -> np.ndarray:
        """As of `Look`."""
        grain = fractal(local.real * 3, local.imag * 0.4, 2, self.seed)
        return blend((74, 66, 60), (134, 122, 112), grain)


# ---- names -------------------------------------------------------------------------------------------------------


def all_looks(colours: tuple[str, ...] = tuple(COLOURS)) -> list[Look]:
    """Every look there is in these colours."""
    return [Look(*each) for each in product(SHAPES, colours, TEXTURES)]


def free_colours(kinds: list[str]) -> tuple[str, ...]:
    """The colours that are well seen on all these backgrounds."""
    return tuple(colour for colour in COLOURS if not any(colour in GROUNDS[kind].clashes for kind in kinds))


def with_article(name: str) -> str:
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def listed(names: list[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
