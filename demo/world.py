"""The toy world: small procedural videos whose ground truth is known exactly.

    scene = Scene.random(seed=16332)
    scene.caption                  # "a red striped circle and a blue square on grass"
    scene.frame(0)                 # RGB uint8 [H, W, 3]
    scene.flow(0, 5)               # float32 [H, W, 2], pixels, from frame 0 to frame 5
    scene.counterfactual(1, "a green star").frame(0)

A scene is one or several shots. A shot is a stack of layers: the background, the objects, and perhaps a post that
passes in front of them. Each layer is a flat picture that moves by a similarity transform (shift, turn, zoom), and a
camera moves over all of them. Labels, masks, motion and occlusion are therefore formulas, not estimates.

They are exact for the surfaces. Light is apart from them: an object is brighter on the side towards the light, however
it turns, and its soft shadow slides over what lies behind it. Both change the brightness of a surface and nothing else:
the shadowed ground is ground in every mask, flow leads along the surface and not along its shadow, and what a shadow
darkens is not occluded. So the two ends of a flow vector have the same colour in `frame(t, lit=False)`, while in
`frame(t)` their brightness may differ.

Conventions:
    pixels   a point is one complex number x + iy; the centre of the top left pixel is 0, x points right, y down.
    world    0 is the middle of the picture of a camera at rest, and the unit is the shorter side of that picture.
    local    a point as its layer sees it: in radii for an object. The layer's `Pose` leads to pixels and back.
    time     frame t is shown at t / fps seconds.
    labels   0 is the background, 1..N the objects, the same in every shot; the higher number is in front. A post has
             label 0 too: it is no object and has no name.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np

from chance import random_kind, random_looks, random_shot
from grounds import GROUNDS, mix
from shots import AT_REST, Background, Pose, Shot
from things import Look, Post, all_looks, free_colours, listed, with_article

TRAINING_SEEDS = range(900_000)
MEASURING_SEEDS = range(900_000, 1_000_000)  # and testing; the rest is for final tests only, which are not ours


@dataclass(frozen=True)
class Scene:
    """A clip of the toy world with its ground truth.

    Behind a cut nothing of the frames before it is to be seen: across it `occlusion` is True everywhere, flow is 0 and
    means nothing. The objects are the same, so label k is the same object in every shot.
    """

    size: tuple[int, int]  # pixels, (height, width)
    frames: int
    fps: Fraction
    shots: tuple[Shot, ...]

    @classmethod
    def random(
        cls,
        seed: int,
        size: tuple[int, int] = (360, 640),
        frames: int = 96,
        fps: Fraction | int = 24,
        objects: int = 2,
        *,
        diameter: tuple[float, float] = (0.34, 0.46),
        camera: bool = True,
        shadow: bool = True,
        occluder: bool = False,
        leaves: bool = False,
        cuts: int = 0,
    ) -> Scene:
        """The scene of this seed, the same on every machine, and at any size the same picture.

        The first object is the one to edit: the largest, its `diameter` between these shares of the shorter side.
        `camera` pans and zooms, `shadow` is cast, an `occluder` (a post) passes in front, the first object `leaves` the
        picture and returns. A switch that is off leaves everything else as it is.
        """
        check_request(seed, size, frames, objects, cuts)
        naming, *dice = np.random.default_rng(seed).spawn(2 + cuts)
        firsts = [round(frames * k / (cuts + 1)) for k in range(cuts + 2)]
        shots, looks = [], []
        for rng, first, last in zip(dice, firsts, firsts[1:], strict=False):
            kind = random_kind(naming, shots, looks)
            looks = looks or random_looks(naming, objects, kind)
            seconds = float((last - first - 1) / Fraction(fps))
            shot = random_shot(rng, first, seconds, size, kind, looks, diameter, leaves)
            shot = shot if camera else replace(shot, camera=AT_REST)
            shot = shot if shadow else replace(shot, light=replace(shot.light, shadow=0.0))
            shots.append(shot if occluder else replace(shot, layers=shot.layers[:-1]))
        return cls(size, frames, Fraction(fps), tuple(shots))

    # What is in it, in words.

    @property
    def things(self) -> tuple[Look, ...]:
        """The objects, label 1 first."""
        return tuple(layer.surface for layer in self.shots[0].layers if isinstance(layer.surface, Look))

    @property
    def caption(self) -> str:
        places = [GROUNDS[shot.kind].place for shot in self.shots]
        return f"{listed([with_article(look.name) for look in self.things])} {', then '.join(places)}"

    @property
    def phrases(self) -> list[str]:
        """One phrase per object, in the order of their labels: "the red striped circle". Each fits that object only."""
        return [f"the {look.name}" for look in self.things]

    def references(self, k: int) -> list[str]:
        """Every phrase that fits the object of label k and no other, the shortest first: "the star", "the red star"."""
        *extra, shape = self.things[k - 1].words
        choices = [(*some, shape) for count in range(len(extra) + 1) for some in combinations(extra, count)]
        return [f"the {' '.join(words)}" for words in choices if sum(look.fits(words) for look in self.things) == 1]

    def absent(self, shared: int) -> list[str]:
        """Phrases that fit no object here; the most similar object has `shared` (0 to 2) of the look's shape, colour
        and texture. The colours are ones that could be here."""
        colours = free_colours([shot.kind for shot in self.shots])
        looks = [look for look in all_looks(colours) if max(map(look.likeness, self.things)) == shared]
        return [f"the {look.name}" for look in looks if not any(there.fits(look.words) for there in self.things)]

    def counterfactual(self, k: int, phrase: str = "", **changes: str) -> Scene:
        """The same scene, motion, camera, background and light, in which the object of label k looks as the phrase
        says ("a blue dotted star"), or differs in what is named: colour="blue", texture="dotted", shape="star".

        Outside of what is seen of the object, and for another shape of both and of their shadows, every frame has the
        same bytes. That the new look has a name of its own is up to the caller.
        """
        look = replace(Look.named(phrase) if phrase else self.things[k - 1], **changes)
        return replace(self, shots=tuple(shot.with_look(k, look) for shot in self.shots))

    # Pictures.

    def frame(self, t: int, lit: bool = True) -> np.ndarray:
        """The picture: RGB uint8 [H, W, 3], anti-aliased at the outlines; unlit it is without shading and shadows."""
        shot, pixels = self.shot(t), pixel_centres(self.size)
        ground = self.pose(t, 0).to_local(pixels)
        # The camera does not roll: a column of the ground has one x, a row one y, and much of the work is per line.
        image = shot.layers[0].surface.paint(ground.real[:1], ground.imag[:, :1])
        for k, layer in enumerate(shot.layers[1:], 1):
            pose = self.pose(t, k)
            local = pose.to_local(pixels)
            if lit and shot.light.shadow:
                image *= shot.light.behind(layer.surface, local, pose)[..., None]
            coverage = coverage_of(layer.surface, local, pose)
            if (seen := coverage > 0).any():
                paint = layer.surface.paint(local[seen], soft=1.5 / abs(pose.gain))
                brightness = shot.light.on(layer.surface, local[seen], pose) if lit else np.ones(1)
                image[seen] = mix(image[seen], paint * brightness[:, None], coverage[seen][:, None])
        return np.rint(np.clip(image, 0, 255)).astype(np.uint8)

    def coverage(self, t: int, k: int) -> np.ndarray:
        """Share of each pixel that label k covers, hidden parts included: float64 [H, W]; from 0.5 on it is `mask`."""
        pose = self.pose(t, k)
        return coverage_of(self.shot(t).layers[k].surface, pose.to_local(pixel_centres(self.size)), pose)

    def mask(self, t: int, k: int) -> np.ndarray:
        """Amodal mask of label k, hidden parts included: bool [H, W], True where it covers the pixel centre.

        The visible mask is `labels(t) == k`. Label N + 1 is the post, if there is one.
        """
        return self.covers(pixel_centres(self.size), t, k)

    def labels(self, t: int) -> np.ndarray:
        """The label of what is seen at each pixel centre, 0 on a post: uint8 [H, W]."""
        front = self.front(pixel_centres(self.size), t)
        return np.where(front > len(self.things), np.uint8(0), front)

    def boxes(self, t: int) -> np.ndarray:
        """The box around the visible part of each object: int64 [N, 4] of left, top, right, bottom, in pixels, the last
        two exclusive; zeros where nothing of it is seen."""
        labels = self.labels(t)
        return np.array([box_of(labels == k) for k in range(1, len(self.things) + 1)])

    # Motion.

    def flow(self, t: int, u: int) -> np.ndarray:
        """Motion of what is seen in frame t: float32 [H, W, 2], (x, y) in pixels.

        The surface point at pixel p of frame t lies at p + flow[p] in frame u, be it visible there or not.
        """
        motion, pixels = np.zeros(self.size, complex), pixel_centres(self.size)
        if self.shot(t) is self.shot(u):
            front = self.front(pixels, t)
            for k in range(len(self.shot(t).layers)):
                seen = front == k
                motion[seen] = self.travel(pixels[seen], t, u, k)
        return np.stack([motion.real, motion.imag], axis=-1).astype(np.float32)

    def occlusion(self, t: int, u: int) -> np.ndarray:
        """True where the surface point seen in frame t is hidden or out of the picture in frame u: bool [H, W]."""
        lost, pixels = np.ones(self.size, bool), pixel_centres(self.size)
        if self.shot(t) is self.shot(u):
            front = self.front(pixels, t)
            for k in range(len(self.shot(t).layers)):
                seen = front == k
                arrived = pixels[seen] + self.travel(pixels[seen], t, u, k)
                hidden = [self.covers(arrived, u, j) for j in range(k + 1, len(self.shot(t).layers))]
                lost[seen] = np.any([self.outside(arrived), *hidden], axis=0)
        return lost

    # The same for single points: complex [...], in pixels.

    def shot(self, t: int) -> Shot:
        """The shot that frame t belongs to."""
        return [shot for shot in self.shots if shot.first <= t][-1]

    def pose(self, t: int, k: int) -> Pose:
        """From the local points of label k to the pixels of frame t."""
        shot, (height, width) = self.shot(t), self.size
        seconds = float((t - shot.first) / self.fps)
        lens = Pose(complex(width - 1, height - 1) / 2, min(self.size))
        return lens @ shot.camera.at(seconds) @ shot.layers[k].motion.at(seconds)

    def covers(self, pixels: np.ndarray, t: int, k: int) -> np.ndarray:
        """True where the layer of label k covers the point in frame t: complex [...] to bool [...]."""
        return self.shot(t).layers[k].surface.distance(self.pose(t, k).to_local(pixels)) <= 0

    def front(self, pixels: np.ndarray, t: int) -> np.ndarray:
        """The label of the layer that is seen at the point, N + 1 for a post: complex [...] to uint8 [...]."""
        front = np.zeros(pixels.shape, np.uint8)
        for k in range(1, len(self.shot(t).layers)):
            front[self.covers(pixels, t, k)] = k
        return front

    def travel(self, pixels: np.ndarray, t: int, u: int, k: int) -> np.ndarray:
        """How far a point of the layer of label k goes from frame t to frame u: complex [...] to complex [...]."""
        start, end = self.pose(t, k), self.pose(u, k)
        # end.to_pixels(local) - start.to_pixels(local), written so that t == u gives zero without rounding error.
        return (end.gain - start.gain) * start.to_local(pixels) + (end.centre - start.centre)

    def outside(self, pixels: np.ndarray) -> np.ndarray:
        """True where a point lies on no pixel; each reaches half a pixel around its centre: complex to bool [...]."""
        height, width = self.size
        x, y = pixels.real + 0.5, pixels.imag + 0.5
        return (x < 0) | (x >= width) | (y < 0) | (y >= height)


def coverage_of(surface: Background | Look | Post, local: np.ndarray, pose: Pose) -> np.ndarray:
    """Share of the pixel around each local point that the surface covers: complex [...] to float64 [...] in [0, 1]."""
    return np.clip(0.5 - surface.distance(local) * abs(pose.gain), 0, 1)


def box_of(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the True pixels of a bool [H, W], the last two exclusive; zeros if there are none."""
    if not mask.any():
        return 0, 0, 0, 0
    columns, rows = (np.flatnonzero(mask.any(axis=axis)) for axis in (0, 1))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


@lru_cache(maxsize=8)
def pixel_centres(size: tuple[int, int]) -> np.ndarray:
    """x + iy of every pixel: complex128 [H, W], read-only."""
    height, width = size
    centres = np.arange(width) + 1j * np.arange(height)[:, None]
    centres.flags.writeable = False
    return centres


def check_request(seed: int, size: tuple[int, int], frames: int, objects: int, cuts: int) -> None:
    """Raise ValueError for a scene that must not or cannot be made."""
    if seed not in TRAINING_SEEDS and seed not in MEASURING_SEEDS:
        raise ValueError(
            f"seed {seed} is reserved: take one from 0 to {MEASURING_SEEDS[-1]:,}, the rest is for final tests only"
        )
    if min(size) < 2:
        raise ValueError(f"size {size} is no picture: take at least 2 x 2 pixels")
    if not 1 <= objects <= 6:
        raise ValueError(f"{objects} objects do not go into one picture: take 1 to 6")
    if not 0 <= cuts < frames:
        raise ValueError(f"{cuts} cuts do not go into {frames} frames: take fewer cuts, or more frames")


# ---- stills ------------------------------------------------------------------------------------------------------


class Still(NamedTuple):
    """One picture of a scene and what is in it."""

    picture: np.ndarray  # RGB uint8 [H, W, 3]
    labels: np.ndarray  # uint8 [H, W], 0 the background
    boxes: np.ndarray  # int64 [N, 4], as of Scene.boxes
    caption: str
    phrases: list[str]
    scene: Scene

    @classmethod
    def of(cls, scene: Scene, t: int = 0) -> Still:
        return cls(scene.frame(t), scene.labels(t), scene.boxes(t), scene.caption, scene.phrases, scene)


def still(seed: int, size: tuple[int, int] = (128, 128)) -> Still:
    """A picture to learn from: 1 to 3 objects at any angle, near (30 to 70 % of the side) or far (12 to 25 %)."""
    rng = np.random.default_rng([seed, 1])
    objects = int(rng.integers(1, 4))
    diameter = (0.3, 0.8 - 0.1 * objects) if rng.uniform() < 0.7 else (0.2, 0.25)
    scene = Scene.random(seed, size, frames=1, objects=objects, diameter=diameter, camera=False)
    return Still.of(scene)


def moment(seed: int, size: tuple[int, int] = (128, 128)) -> Still:
    """A frame of a clip, where things are half hidden, on their way out of the picture, or gone."""
    rng = np.random.default_rng([seed, 5])
    objects, frames = int(rng.integers(1, 4)), 96
    occluder, leaves = (bool(rng.uniform() < share) for share in (0.5, 0.3))
    scene = Scene.random(seed, size, frames=frames, objects=objects, occluder=occluder, leaves=leaves)
    return Still.of(scene, int(rng.integers(frames)))


# ---- command line ------------------------------------------------------------------------------------------------


def parse_size(text: str) -> tuple[int, int]:
    """ "640x360" to (360, 640)."""
    width, height = text.split("x")
    return int(height), int(width)


def main() -> None:
    parser = argparse.ArgumentParser(description="Write one clip of the toy world and the masks of its objects.")
    parser.add_argument("--seed", type=int, required=True, help=f"up to {MEASURING_SEEDS[-1]:,}")
    parser.add_argument("--out", type=Path, required=True, help="the clip, .mp4")
    parser.add_argument("--masks", type=Path, required=True, help="the label maps, .mkv")
    parser.add_argument("--size", type=parse_size, default="640x360", help="width x height, both even")
    parser.add_argument("--frames", type=int, default=96)
    parser.add_argument("--fps", type=Fraction, default="24", help="whole, or a fraction such as 30000/1001")
    parser.add_argument("--objects", type=int, default=2)
    parser.add_argument("--occluder", action="store_true", help="a post passes in front")
    parser.add_argument("--leaves", action="store_true", help="the first object leaves the picture and returns")
    parser.add_argument("--cuts", type=int, default=0)
    parser.add_argument("--instead", metavar="PHRASE", help='draw the first object so: "a green star"')
    parser.add_argument("--only", type=int, help="the one object that the masks show")
    args = parser.parse_args()
    from film import write_clip, write_masks  # here, since only this needs PyAV

    switches = {"occluder": args.occluder, "leaves": args.leaves, "cuts": args.cuts}
    scene = Scene.random(args.seed, args.size, args.frames, args.fps, args.objects, **switches)
    scene = scene.counterfactual(1, args.instead) if args.instead else scene
    write_clip(scene, args.out)
    write_masks(scene, args.masks, args.only)
    print(scene.caption, *scene.phrases, sep="\n")


if __name__ == "__main__":
    main()
