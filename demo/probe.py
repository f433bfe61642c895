"""Say which colour, texture and shape fills a mask, and what lies around it, without any network.

    look = read(picture, mask)       # Look(shape="star", colour="blue", texture="dotted")
    kind = ground(picture, ~mask)    # "grass"
    kind, mask = find(picture)       # where nothing is known of a picture but that it shows one object

    python demo/probe.py --seeds 900000:900200     # its own accuracy, on true scenes

The colour is the one whose two tones, at any brightness that light can give them, come nearest to the pixels. The shape
is the one that covers the mask best at its best place, size and angle; pixels that something else may hide count for
nothing. The texture is the one whose pattern, at that size, fits the second tone best at its best angle and place.
"""

from __future__ import annotations

import argparse
from functools import lru_cache
from itertools import product
from operator import attrgetter
from typing import NamedTuple

import cv2
import numpy as np
from tqdm import tqdm

from grounds import GROUNDS, mix
from things import COLOURS, SHAPES, TEXTURES, Look, second_tone
from world import Still, pixel_centres, still

LEAST_PIXELS = 24  # of an object of which anything can be said
MANY = 700  # pixels that are enough to look at
BRIGHTNESS = np.linspace(0.6, 1.2, 9)  # of a surface, from the rim in the shade to the side towards the light
WEIGHTS = np.linspace(0, 1, 5)  # of the second tone in a pixel
FAR = 40  # Lab units from which on a pixel is of none of the tones, and how far does not matter
LEAST = 0.12  # share of the second tone from which on a texture may be another than plain
ALIKE = 0.5  # correlation with a pattern that is needed for it

# ---- objects -----------------------------------------------------------------------------------------------------


def read(picture: np.ndarray, mask: np.ndarray, hidden: np.ndarray | None = None) -> Look:
    """What fills a mask, bool [H, W], of a picture, RGB uint8 [H, W, 3].

    hidden: bool [H, W], where something else may hide parts of it.
    """
    shape, centre, gain = read_shape(mask, hidden)
    points, pixels = thinned(pixel_centres(mask.shape)[mask], picture[mask])
    colour, second = read_colour(pixels)
    return Look(shape, colour, read_texture((points - centre) / gain, second, 1.5 / abs(gain)))


def thinned(*arrays: np.ndarray) -> list[np.ndarray]:
    """At most MANY of the entries of each, spread over all of them."""
    chosen = np.linspace(0, len(arrays[0]) - 1, min(MANY, len(arrays[0]))).round().astype(int)
    return [array[chosen] for array in arrays]


# ---- colour ------------------------------------------------------------------------------------------------------


def lab(rgb: np.ndarray) -> np.ndarray:
    """RGB in [0, 255] to CIE Lab: [..., 3] to float32 [N, 3]."""
    return cv2.cvtColor(np.float32(np.clip(rgb, 0, 255) / 255).reshape(1, -1, 3), cv2.COLOR_RGB2LAB)[0]


@lru_cache
def tones(colour: str) -> np.ndarray:
    """What a colour may look like: Lab float32 [W, B, 3] by weight of the second tone and by brightness."""
    mixed = mix(np.array(COLOURS[colour], float), np.array(second_tone(colour)), WEIGHTS[:, None])
    return lab(mixed[:, None] * BRIGHTNESS[:, None]).reshape(len(WEIGHTS), len(BRIGHTNESS), 3)


def read_colour(pixels: np.ndarray) -> tuple[str, np.ndarray]:
    """The colour of an object's pixels, RGB [N, 3], and how much of the second tone is in each, float64 [N]."""
    seen = lab(pixels)[:, None, None]
    # Among tones that fit alike, that of common brightness is the likelier.
    rare = 6 * np.abs(np.log(BRIGHTNESS))
    costs = {}
    for colour in COLOURS:
        away = np.minimum(np.linalg.norm(seen - tones(colour), axis=3), FAR) + rare  # [N, W, B]
        costs[colour] = away.min(axis=2)
    best = min(costs, key=lambda colour: costs[colour].min(axis=1).mean() + main_tone(costs[colour][:, 0]))
    return best, WEIGHTS[costs[best].argmin(axis=1)]


def main_tone(away: np.ndarray) -> float:
    """How far the nearest third of the pixels is from a colour's first tone, as cream alone is no colour's."""
    return np.sort(away)[: max(1, len(away) // 3)].mean()


# ---- shape -------------------------------------------------------------------------------------------------------

# Angles after which a shape looks the same; a circle and a ring always do.
TURNS = {"circle": 0, "ring": 0, "square": 90, "triangle": 120, "star": 72, "cross": 90, "heart": 360, "moon": 360}


@lru_cache
def measures(shape: str) -> tuple[complex, float]:
    """Centroid in radii, and area in square radii."""
    grid = np.linspace(-1.2, 1.2, 241)
    points = (grid + 1j * grid[:, None]).ravel()
    inside = points[SHAPES[shape](points) <= 0]
    return inside.mean(), len(inside) * (grid[1] - grid[0]) ** 2


def read_shape(mask: np.ndarray, hidden: np.ndarray | None) -> tuple[str, complex, complex]:
    """The shape that covers a mask best, its centre and its gain (radius times exp(i angle)) in pixels."""
    points, inside = around(mask, hidden)
    starts = sorted((first_fit(shape, points, inside) for shape in SHAPES), key=by_score, reverse=True)
    best = max((better_fit(fit, points, inside) for fit in starts[:4]), key=by_score)
    return best.shape, best.centre, best.gain


def around(mask: np.ndarray, hidden: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Pixels in and around a mask that tell its shape, complex [N], and whether they are in it, bool [N]."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    margin = max(len(rows), len(columns)) // 4 + 2
    step = max(1, round(max(len(rows), len(columns)) / 30))
    window = tuple(slice(max(0, at[0] - margin), at[-1] + margin + 1, step) for at in (rows, columns))
    told = np.ones_like(mask) if hidden is None else ~hidden | mask
    return pixel_centres(mask.shape)[window][told[window]], mask[window][told[window]]


class Fit(NamedTuple):
    """A shape laid over a mask."""

    score: float  # its overlap
    shape: str
    centre: complex
    gain: complex


by_score = attrgetter("score")


def first_fit(shape: str, points: np.ndarray, inside: np.ndarray) -> Fit:
    """The best angle of a shape that has the centroid and the area of what is inside."""
    middle, area = measures(shape)
    step = np.sqrt(np.diff(np.unique(points.real)).min() * np.diff(np.unique(points.imag)).min())
    gains = step * np.sqrt(inside.sum() / area) * np.exp(1j * np.radians(np.arange(0, max(TURNS[shape], 1), 6)))
    fits = [fit(shape, points, inside, points[inside].mean() - gain * middle, gain) for gain in gains]
    return max(fits, key=by_score)


def better_fit(best: Fit, points: np.ndarray, inside: np.ndarray) -> Fit:
    """The same shape at the best place, angle and size near by, by ever smaller steps."""
    for size in 0.3, 0.15, 0.08, 0.04, 0.02:
        for _ in range(4):
            _, shape, centre, gain = best
            ways = [size * d for d in (1, -1, 1j, -1j)]
            moves = [(centre + gain * way, gain) for way in ways] + [(centre, gain * (1 + way)) for way in ways]
            moves += [(centre + gain * way, gain * (1 + size)) for way in ways]  # towards a side that is not seen
            better = max((fit(shape, points, inside, *move) for move in moves), key=by_score)
            if better.score <= best.score:
                break
            best = better
    return best


def fit(shape: str, points: np.ndarray, inside: np.ndarray, centre: complex, gain: complex) -> Fit:
    """Intersection over union with what is inside, edges counted by shares."""
    covers = np.clip(0.5 - SHAPES[shape]((points - centre) / gain) * abs(gain), 0, 1)
    both = covers[inside].sum()
    return Fit(both / (covers.sum() + inside.sum() - both), shape, centre, gain)


# ---- texture -----------------------------------------------------------------------------------------------------

PHASES = np.arange(0, 1, 0.25)
PERIODS = {"striped": (0.54, None), "dotted": (0.48, 0.96), "checkered": (0.8, 0.8)}  # radii, along both axes


def read_texture(local: np.ndarray, second: np.ndarray, soft: float) -> str:
    """The texture with this much of the second tone, float64 [N], at these points in radii, complex [N].

    soft: the width of an edge, in radii.
    """
    alike = {texture: likeness(texture, local, second, soft) for texture in PERIODS} if second.mean() > LEAST else {}
    best = max(alike, key=alike.get, default="plain")
    return best if alike.get(best, 0) > ALIKE else "plain"


def likeness(texture: str, local: np.ndarray, second: np.ndarray, soft: float) -> float:
    """Best correlation of a texture with the second tone, over all angles and places."""
    across, along = PERIODS[texture]
    shifts = [across * a + 1j * (along or 0) * b for a, b in product(PHASES, PHASES if along else [0])]
    turns = np.exp(1j * np.radians(np.arange(0, 90 if texture == "checkered" else 180, 6)))
    grid = (local * turns[:, None])[:, None] + np.array(shifts)[:, None]  # [T, S, N]
    pattern = TEXTURES[texture](grid, soft)
    pattern, second = pattern - pattern.mean(axis=2, keepdims=True), second - second.mean()
    scale = np.linalg.norm(pattern, axis=2) * np.linalg.norm(second) + 1e-9
    return (pattern @ second / scale).max()


# ---- backgrounds -------------------------------------------------------------------------------------------------

BINS = 12  # of each of red, green and blue
RIM = 8  # pixels of a picture that are mostly background


def ground(picture: np.ndarray, outside: np.ndarray) -> str:
    """The kind of background that is seen outside of all objects, bool [H, W]."""
    counts = histogram(picture[outside])
    return max(GROUNDS, key=lambda kind: counts @ np.log(palette(kind)))


def find(picture: np.ndarray, within: np.ndarray | None = None) -> tuple[str, np.ndarray]:
    """The background's kind and the mask, bool [H, W], of the only object in a picture, RGB uint8 [H, W, 3].

    The object is the largest patch of colours that are likelier on objects than on this background. within: bool
    [H, W], where it is looked for; all else is mostly background.
    """
    height, width = picture.shape[:2]
    rim = np.pad(np.zeros((height - 2 * RIM, width - 2 * RIM), bool), RIM, constant_values=True)
    kind, index = ground(picture, rim if within is None else ~within), bins(picture)
    for _ in range(2):
        excess = np.log(object_palette()[index]) - np.log(palette(kind)[index])
        likely = cv2.GaussianBlur(np.clip(excess, -4, 4).astype(np.float32), (0, 0), 1.0) > 0
        mask = largest(np.uint8(likely if within is None else likely & within))
        if within is not None:
            break
        kind = ground(picture, ~mask)
    return kind, mask


def largest(mask: np.ndarray) -> np.ndarray:
    """The largest connected part of a mask, gaps of a few pixels bridged and crumbs left out: uint8 to bool [H, W]."""
    wide, narrow = (cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)) for side in (7, 3))
    bridged = cv2.morphologyEx(np.pad(mask, RIM, "edge"), cv2.MORPH_CLOSE, wide)[RIM:-RIM, RIM:-RIM]
    _, parts, figures, _ = cv2.connectedComponentsWithStats(cv2.morphologyEx(bridged, cv2.MORPH_OPEN, narrow))
    areas = figures[1:, cv2.CC_STAT_AREA]
    return parts == 1 + areas.argmax() if len(areas) else np.zeros(mask.shape, bool)


def bins(pixels: np.ndarray) -> np.ndarray:
    """The number of each colour's bin: RGB [..., 3] in [0, 255] to int64 [...]."""
    red, green, blue = np.moveaxis(np.clip(pixels, 0, 255) * (BINS / 256), -1, 0).astype(int)
    return (red * BINS + green) * BINS + blue


def histogram(pixels: np.ndarray) -> np.ndarray:
    """Shares of the colours: RGB [N, 3] in [0, 255] to float64 [BINS ** 3]."""
    return np.bincount(bins(pixels), minlength=BINS**3) / len(pixels)


@lru_cache
def object_palette() -> np.ndarray:
    """How often each colour is seen on objects, mostly in their first tone: float64 [BINS ** 3]."""
    grain = np.random.default_rng(0).normal(0, 5, (8, 3))
    lights = np.linspace(BRIGHTNESS[0], BRIGHTNESS[-1], 27)[:, None, None]
    counts = np.zeros(BINS**3)
    for colour, weight in product(COLOURS, WEIGHTS):
        tone = mix(np.array(COLOURS[colour], float), np.array(second_tone(colour)), weight)
        counts += histogram((tone * lights + grain).reshape(-1, 3)) * (3 if weight == 0 else 1)
    return counts / counts.sum() + 1e-5


@lru_cache
def palette(kind: str) -> np.ndarray:
    """How often each colour is seen on a kind of background, a little of it in the shade: float64 [BINS ** 3]."""
    side = np.arange(96) / 96
    zooms = enumerate([0.6, 0.9, 1.2] * 8)
    samples = [GROUNDS[kind].paint(side * zoom, side[:, None] * zoom, seed) for seed, zoom in zooms]
    pixels, shadow = np.reshape(samples, (-1, 3)), GROUNDS[kind].shadow
    shaded = np.mean([histogram(pixels * (1 - shadow * share)) for share in (0.25, 0.5, 0.75, 1)], axis=0)
    return 0.8 * histogram(pixels) + 0.2 * shaded + 1e-5


def judge(picture: np.ndarray, look: Look, kind: str) -> dict[str, bool]:
    """What is right in a picture that shall show one object, with this look, on this kind of background."""
    there, mask = find(picture)
    read_as = read(picture, mask) if mask.sum() >= LEAST_PIXELS else None
    looks = {name: getattr(read_as, name, None) == getattr(look, name) for name in ("colour", "texture", "shape")}
    return looks | {"background": there == kind}


# ---- its own accuracy --------------------------------------------------------------------------------------------


def visible(shown: Still, k: int) -> float:
    """Share of an object that is seen, of all of it, in and out of the picture."""
    height, width = shown.labels.shape
    beyond = np.arange(-width, 2 * width) + 1j * np.arange(-height, 2 * height)[:, None]
    return (shown.labels == k).sum() / max(1, shown.scene.covers(beyond, 0, k).sum())


def accuracy(seeds: range, least: int = LEAST_PIXELS, share: float = 0.8) -> dict[str, tuple[int, int]]:
    """How many of each are read right, of how many: all objects of at least this many pixels, most of them seen."""
    right = {name: [] for name in ("colour", "texture", "shape", "background")}
    for seed in tqdm(seeds, unit="scene"):
        shown = still(seed)
        right["background"].append(ground(shown.picture, shown.labels == 0) == shown.scene.shots[0].kind)
        for k, true in enumerate(shown.scene.things, 1):
            mask = shown.labels == k
            if mask.sum() >= least and visible(shown, k) >= share:
                found = read(shown.picture, mask, (shown.labels > 0) & ~mask)
                for name in ("colour", "texture", "shape"):
                    right[name].append(getattr(found, name) == getattr(true, name))
                if found != true:
                    tqdm.write(f"seed {seed}: {true} of {mask.sum()} pixels is read as {found}")
    return {name: (sum(answers), len(answers)) for name, answers in right.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description="Print how often the probe is right on true scenes.")
    parser.add_argument("--seeds", default="900000:900200", help="from:to, the last one exclusive")
    seeds = range(*map(int, parser.parse_args().seeds.split(":")))
    for name, (right, total) in accuracy(seeds).items():
        print(f"{name:12}{right:5} of {total:4} = {right / total:7.2%}")


if __name__ == "__main__":
    main()
