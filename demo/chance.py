"""Shots of the toy world by chance.

Every part of a shot has its own generator, so that one part more or less leaves the others as they are.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from grounds import GROUNDS, mix
from shots import KNOT, Background, Layer, Light, Motion, Shot, Spline, fixed
from things import SHAPES, TEXTURES, Look, Post, free_colours


def random_kind(rng: np.random.Generator, shots: list[Shot], looks: list[Look]) -> str:
    """A background for the next shot: another one than before, on which the objects are well seen."""
    seen = {look.colour for look in looks}
    before = [shot.kind for shot in shots[-1:]]
    return pick(rng, [kind for kind, ground in GROUNDS.items() if kind not in before and not seen & {*ground.clashes}])


def random_looks(rng: np.random.Generator, count: int, kind: str) -> list[Look]:
    """Objects that stand out from the background. No name fits two of them, but every other one after the first has its
    shape, its colour or its texture, so that a part of the name is not enough."""
    colours, looks = free_colours([kind]), []
    while len(looks) < count:
        look = Look(pick(rng, SHAPES), pick(rng, colours), pick(rng, TEXTURES))
        if looks and rng.uniform() < 0.5:
            same = pick(rng, ["shape", "colour", "texture"])
            look = replace(look, **{same: getattr(looks[0], same)})
        if not any(look.fits(other.words) or other.fits(look.words) for other in looks):
            looks.append(look)
    return looks


def random_shot(
    rng: np.random.Generator,
    first: int,
    seconds: float,
    size: tuple[int, int],
    kind: str,
    looks: list[Look],
    diameter: tuple[float, float],
    leaves: bool,
) -> Shot:
    """A shot with everything in it; who wants less takes it away."""
    half = complex(size[1], size[0]) / (2 * min(size))  # the lower right corner of the picture, in world units
    ground, view, sun, place, passing, *paths = rng.spawn(5 + len(looks))
    zoom = ground.uniform(np.log(0.8), np.log(1.7))
    background = Layer(Background(kind, int(ground.integers(2**31))), Motion(fixed(0), fixed(zoom)))
    camera = Motion(wander(view, seconds, 0, 0.1 + 0.07j), wander(view, seconds, 0, 0.13))
    light = Light(complex(np.exp(-1j * np.pi * sun.uniform(0.15, 0.85))), GROUNDS[kind].shadow)
    radii = place.uniform(*diameter) / 2 * np.array([1, *place.uniform(0.6, 0.9, len(looks) - 1)])
    homes = scatter(place, radii, half - (0.22 + 0.16j) * bool(seconds))
    motions = [random_motion(*each, seconds) for each in zip(paths, homes, radii, strict=True)]
    if leaves:
        motions[0] = leaving(motions[0], half, radii[0], seconds)
    objects = [Layer(*each) for each in zip(looks, motions, strict=True)]
    return Shot(first, (background, *objects, random_post(passing, half, seconds)), camera, light)


def scatter(rng: np.random.Generator, radii: np.ndarray, half: complex) -> list[complex]:
    """A place for each disc in the rectangle from -half to half, apart from the others if there is room."""
    places, radii = np.zeros(0, complex), 0.8 * radii  # few shapes fill their disc, and a little overlap is welcome
    for radius in radii:
        room = complex(max(half.real - radius, 0), max(half.imag - radius, 0))
        tries = within(rng, room, 40)
        gaps = np.abs(tries[:, None] - places) - radii[: len(places)] - radius
        best = np.argmax(np.minimum(gaps, 0).min(axis=1, initial=0))  # the first that is free, or else the most free
        places = np.append(places, tries[best])
    return places.tolist()


def random_motion(rng: np.random.Generator, home: complex, radius: float, seconds: float) -> Motion:
    """Wanders about its home, swells and shrinks a little, and turns one way."""
    centre = wander(rng, seconds, home, (0.26 + 0.2j) * bool(seconds))
    spin = rng.uniform(0.3, 0.8) * rng.choice([-1, 1])  # radians per second
    size = wander(rng, seconds, complex(np.log(radius), rng.uniform(-np.pi, np.pi)), 0.16 * bool(seconds))
    return Motion(centre, Spline(tuple(knot + 1j * spin * KNOT * k for k, knot in enumerate(size.knots))))


def wander(rng: np.random.Generator, seconds: float, middle: complex, spread: complex) -> Spline:
    """A random walk about the middle: knots within `spread` of it to either side, for this many seconds."""
    return Spline(tuple((middle + within(rng, spread, int(np.ceil(seconds / KNOT)) + 2)).tolist()))


def leaving(motion: Motion, half: complex, radius: float, seconds: float) -> Motion:
    """The same motion, but that for a while in the middle of the shot it is out of the picture, beyond the border that
    is the nearest."""
    step = max(seconds, KNOT) / 7
    homes = [motion.centre.at(step * k) for k in range(8)]
    x, y = homes[4].real, homes[4].imag
    # A camera that pans and zooms sees a bit further than one at rest, and the shadow has to go too.
    far_x, far_y = (np.copysign(1.15 * edge + 0.1 + 1.5 * radius, at) for edge, at in ((half.real, x), (half.imag, y)))
    outside = complex(far_x, y) if half.real - abs(x) < half.imag - abs(y) else complex(x, far_y)
    knots = [mix(home, outside, share) for home, share in zip(homes, (0, 0, 0.5, 1, 1, 1, 0.5, 0), strict=True)]
    return replace(motion, centre=Spline(tuple(knots), step))


def random_post(rng: np.random.Generator, half: complex, seconds: float) -> Layer:
    """A post that crosses the whole picture once."""
    far = (1.2 * half.real + 0.3) * rng.choice([-1, 1])
    gain = np.log(rng.uniform(0.05, 0.09)) + 1j * rng.uniform(-0.15, 0.15)
    centre = Spline((complex(-far), complex(far)), max(seconds, KNOT))
    return Layer(Post(int(rng.integers(2**31))), Motion(centre, fixed(complex(gain))))


def pick(rng: np.random.Generator, names: list[str] | dict[str, object]) -> str:
    """One of the names, each as likely as the others."""
    return list(names)[rng.integers(len(names))]


def within(rng: np.random.Generator, corner: complex, count: int) -> np.ndarray:
    """This many points in the rectangle from -corner to corner: complex [count]."""
    return np.array([complex(corner.real * x, corner.imag * y) for x, y in rng.uniform(-1, 1, (count, 2))])
