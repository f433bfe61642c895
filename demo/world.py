"""The toy world: small procedural videos whose ground truth is known exactly.

    scene = Scene.random(seed=16332)
    scene.caption                  # "a red striped circle and a blue square on grass"
    scene.frame(0)                 # RGB uint8 [H, W, 3]
    scene.flow(0, 5)               # float32 [H, W, 2], pixels, from frame 0 to frame 5

A scene is a stack of layers, the background first and the front-most object last. Each layer is a flat picture that
moves by a similarity transform (shift, turn, zoom), and nothing changes its colours on the way. Labels, masks,
motion and occlusion are therefore formulas, not estimates.

Conventions:
    pixels   a point is one complex number x + iy; the centre of the top left pixel is 0, x points right, y down.
    local    the same point as the layer sees it; the layer's `Pose` leads from local to pixels and back.
    time     frame t is shown at t / fps seconds.
    labels   0 is the background, 1..N the objects; the higher number is in front.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np

RESERVED_SEED = 1_000_000
SAMPLE_RATE = 44_100  # Hz
ROUNDING = 0.06  # radii, of the corners of the shapes

COLOURS = {
    "red": (214, 45, 48),
    "orange": (243, 135, 35),
    "yellow": (250, 208, 55),
    "green": (52, 158, 82),
    "blue": (42, 98, 205),
    "purple": (128, 66, 178),
    "pink": (244, 128, 172),
    "white": (240, 240, 236),
    "black": (58, 58, 68),
}


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


def noise(x: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
    """Value noise in [0, 1): random at the integer points, smooth between them. float64 in and out, any shape."""
    x0, y0 = np.floor(x), np.floor(y)
    columns, rows = np.arange(x0.min(), x0.max() + 2), np.arange(y0.min(), y0.max() + 2)
    table = lattice(columns[None, :], rows[:, None], seed).ravel()
    corner = ((y0 - rows[0]) * len(columns) + (x0 - columns[0])).astype(np.intp)
    u, v = smooth(x - x0), smooth(y - y0)
    top = mix(table[corner], table[corner + 1], u)
    corner += len(columns)
    bottom = mix(table[corner], table[corner + 1], u)
    return mix(top, bottom, v)


def fractal(x: np.ndarray, y: np.ndarray, octaves: int, seed: int) -> np.ndarray:
    """Sum of noises, each half as large and twice as fine as the one before, scaled into [0, 1)."""
    layers = [noise(x * 2**k, y * 2**k, seed + k) * 2.0**-k for k in range(octaves)]
    return sum(layers) / (2 - 2.0 ** (1 - octaves))


def smooth(x: np.ndarray) -> np.ndarray:
    """The smooth step: 0 up to x = 0, 1 from x = 1 on, flat at both ends."""
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def mix(a: np.ndarray, b: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """a where weight is 0, b where it is 1, linear between."""
    return a + (b - a) * weight


def blend(a: tuple, b: tuple, weight: np.ndarray) -> np.ndarray:
    """`mix` of two RGB colours by weight [...]: float64 [..., 3]."""
    return mix(np.array(a, float), np.array(b, float), weight[..., None])


# ---- what the background looks like ------------------------------------------------------------------------------
# Each: x, y float64 [...] in frame heights, seed -> RGB float64 [..., 3] in [0, 255]. The finest grain is about seven
# pixels of a 360-line frame: enough for optical flow to hold on to, coarse enough for a small file.


def grass(x: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
    meadow = fractal(x * 3, y * 3, 2, seed)
    blades = fractal(x * 40, y * 13, 2, seed + 10)
    return blend((70, 118, 48), (150, 186, 88), smooth(0.45 * meadow + 0.75 * blades - 0.1))


def sand(x: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
    bend = fractal(x * 3, y * 3, 2, seed)
    ripples = 0.5 + 0.5 * np.sin(2 * np.pi * (7 * y + 2.2 * bend))
    grain = fractal(x * 25, y * 25, 2, seed + 10)
    return blend((196, 164, 112), (240, 216, 168), 0.35 * ripples + 0.25 * bend + 0.4 * grain)


def sky(x: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
    clouds = smooth(2.6 * fractal(x * 2.2, y * 3.6, 4, seed) - 0.85)
    haze = fractal(x * 13, y * 17, 3, seed + 10)  # the clear sky too must give optical flow something to follow
    return blend((94, 158, 224), (250, 251, 253), 0.85 * clouds + 0.15 * haze)


def brick(x: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
    row = np.floor(y * 9)
    along = x * 4.5 + 0.5 * (row % 2)
    edge = np.minimum(ramp(along) / 4.5, ramp(y * 9) / 9)  # distance to the nearest joint, in frame heights
    stain = lattice(np.floor(along), row, seed)
    face = blend((150, 82, 66), (198, 122, 96), 0.6 * stain + 0.4 * fractal(x * 25, y * 25, 2, seed + 10))
    return mix(np.array((206, 196, 182.0)), face, smooth((edge - 0.004) / 0.006)[..., None])


def wood(x: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
    plank = np.floor(y * 5)
    shift = lattice(plank, plank, seed)
    grain = fractal(x * 4 + 50 * shift, y * 40, 2, seed + 10)
    face = blend((150, 102, 62), (214, 166, 112), 0.4 * shift + 0.6 * grain)
    return face * mix(0.6, 1.0, smooth(ramp(y * 5) / 5 / 0.012))[..., None]


def ramp(x: np.ndarray) -> np.ndarray:
    """Distance from x to the nearest integer, in [0, 0.5]."""
    return np.abs(x - np.rint(x))


@dataclass(frozen=True)
class Ground:
    """A kind of background."""

    paint: Callable[[np.ndarray, np.ndarray, int], np.ndarray]
    place: str  # how a caption ends
    clashes: tuple[str, ...]  # colours of objects that would be hard to see on it


GROUNDS = {
    "grass": Ground(grass, "on grass", ("green",)),
    "sand": Ground(sand, "on sand", ("yellow", "white")),
    "sky": Ground(sky, "in the sky", ("white", "blue")),
    "brick": Ground(brick, "in front of a brick wall", ("red", "orange", "pink")),
    "wood": Ground(wood, "on a wooden floor", ("orange", "yellow")),
}


# ---- what an object looks like -----------------------------------------------------------------------------------
# Shapes: local points complex [...] -> signed distance to the outline, float64 [...], negative inside, in radii.


def disc(z: np.ndarray) -> np.ndarray:
    return np.abs(z) - 1


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


SHAPES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "circle": disc,
    "square": partial(rosette, tips=4, waist=np.cos(np.pi / 4)),
    "triangle": partial(rosette, tips=3, waist=np.cos(np.pi / 3)),
    "star": partial(rosette, tips=5, waist=0.5),
}


# Textures: local points complex [...], width of a soft edge in radii -> weight of the second tone, float64 in [0, 1].


def plain(z: np.ndarray, soft: float) -> np.ndarray:
    return np.zeros(z.shape)


def striped(z: np.ndarray, soft: float) -> np.ndarray:
    return stripes(z.real, 0.48, soft)


def dotted(z: np.ndarray, soft: float) -> np.ndarray:
    pitch = 0.46
    row = np.rint(z.imag / pitch)
    x = z.real / pitch + 0.5 * (row % 2)
    distance = np.hypot(ramp(x), ramp(z.imag / pitch)) * pitch - 0.13
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


def second_tone(colour: tuple[int, int, int]) -> tuple[float, ...]:
    """The colour of stripes and dots: a light one on a dark object, a dark one on a light object."""
    light = np.dot(colour, (0.299, 0.587, 0.114)) > 190
    target, weight = ((84, 74, 88), 0.7) if light else ((255, 250, 236), 0.8)
    return tuple(mix(np.array(colour, float), np.array(target, float), weight))


# ---- how things move ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pose:
    """Similarity transform between local points and pixels, complex arrays both ways."""

    centre: complex  # pixels, where the local point 0 is
    gain: complex  # pixels per local unit, times exp(i angle)

    def to_pixels(self, local: np.ndarray) -> np.ndarray:
        return self.centre + self.gain * local

    def to_local(self, pixels: np.ndarray) -> np.ndarray:
        return (pixels - self.centre) / self.gain


@dataclass(frozen=True)
class Curve:
    """A smooth value over time: base + slope s + swing sin(2 pi (s / period + phase)), with s in seconds."""

    base: float
    slope: float = 0.0
    swing: float = 0.0
    period: float = 1.0
    phase: float = 0.0

    def at(self, seconds: float) -> float:
        return self.base + self.slope * seconds + self.swing * np.sin(2 * np.pi * (seconds / self.period + self.phase))


@dataclass(frozen=True)
class Motion:
    """The pose of a layer over time."""

    x: Curve  # pixels
    y: Curve  # pixels
    scale: Curve  # pixels per local unit
    angle: Curve = Curve(0.0)  # radians, clockwise on the screen

    def at(self, seconds: float) -> Pose:
        centre = complex(self.x.at(seconds), self.y.at(seconds))
        return Pose(centre, complex(self.scale.at(seconds) * np.exp(1j * self.angle.at(seconds))))


# ---- layers ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Background:
    """The endless ground behind everything; its local unit is the height of the frame."""

    kind: str  # a key of GROUNDS
    motion: Motion
    seed: int

    def distance(self, local: np.ndarray) -> np.ndarray:
        """Negative infinity: every point lies inside."""
        return np.full(local.shape, -np.inf)

    def paint(self, local: np.ndarray) -> np.ndarray:
        """Local points complex [...] to RGB float64 [..., 3] in [0, 255]."""
        return GROUNDS[self.kind].paint(local.real, local.imag, self.seed)


@dataclass(frozen=True)
class Thing:
    """An object; its local unit is its radius."""

    shape: str  # a key of SHAPES
    colour: str  # a key of COLOURS
    texture: str  # a key of TEXTURES
    motion: Motion
    soft: float  # radii, the width of an edge inside the texture

    @property
    def name(self) -> str:
        """Words for it without an article: "red striped circle"; a plain texture goes without saying."""
        texture = [] if self.texture == "plain" else [self.texture]
        return " ".join([self.colour, *texture, self.shape])

    def distance(self, local: np.ndarray) -> np.ndarray:
        """Local points complex [...] to signed distance from the outline in radii, negative inside.

        Beyond 0.2 radii outside the disc around the shape, out of reach of anti-aliasing, it is a quick lower bound.
        """
        distance = np.abs(local) - (1 + ROUNDING)
        near = distance < 0.2
        distance[near] = SHAPES[self.shape](local[near])
        return distance

    def paint(self, local: np.ndarray) -> np.ndarray:
        """Local points complex [...] to RGB float64 [..., 3] in [0, 255]."""
        tone = COLOURS[self.colour]
        picture = blend(tone, second_tone(tone), TEXTURES[self.texture](local, self.soft))
        # Shade by depth below the outline only: a light from one side would wander over the object as it turns.
        return picture * mix(0.72, 1.0, smooth(-self.distance(local) / 0.4))[..., None]


# ---- the scene ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scene:
    """A clip of the toy world with its ground truth."""

    size: tuple[int, int]  # pixels, (height, width)
    frames: int
    fps: Fraction
    background: Background
    things: tuple[Thing, ...]  # from back to front; the first is the one to edit

    @classmethod
    def random(
        cls, seed: int, size: tuple[int, int] = (360, 640), frames: int = 96, fps: Fraction | int = 24, objects: int = 2
    ) -> Scene:
        """The scene of this seed, the same on every machine. The first object is the largest."""
        check_request(seed, size, objects)
        rng = np.random.default_rng(seed)
        background = random_background(rng, size)
        clashes = GROUNDS[background.kind].clashes
        colours = rng.permutation([c for c in COLOURS if c not in clashes])[:objects].tolist()
        slots = (rng.permutation(objects) + 0.5) / objects
        diameters = [rng.uniform(0.36, 0.44), *rng.uniform(0.24, 0.3, objects - 1)]
        things = [random_thing(rng, size, *each) for each in zip(colours, slots, diameters, strict=True)]
        return cls(size, frames, Fraction(fps), background, tuple(things))

    @property
    def layers(self) -> tuple[Background | Thing, ...]:
        """The layer of each label, so from back to front."""
        return (self.background, *self.things)

    @property
    def caption(self) -> str:
        *first, last = [with_article(thing.name) for thing in self.things]
        names = f"{', '.join(first)} and {last}" if first else last
        return f"{names} {GROUNDS[self.background.kind].place}"

    @property
    def phrases(self) -> list[str]:
        """One phrase per object, in the order of their labels: "the red striped circle"."""
        return [f"the {thing.name}" for thing in self.things]

    def pose(self, t: int, k: int) -> Pose:
        """Where the layer of label k is in frame t."""
        return self.layers[k].motion.at(float(t / self.fps))

    def frame(self, t: int) -> np.ndarray:
        """The picture: RGB uint8 [H, W, 3], anti-aliased at the outlines."""
        image = np.zeros((*self.size, 3))
        for k, layer in enumerate(self.layers):
            pose = self.pose(t, k)
            local = pose.to_local(pixel_centres(self.size))
            coverage = np.clip(0.5 - layer.distance(local) * abs(pose.gain), 0, 1)
            seen = coverage > 0
            image[seen] = mix(image[seen], layer.paint(local[seen]), coverage[seen][:, None])
        return np.rint(image).astype(np.uint8)

    def mask(self, t: int, k: int) -> np.ndarray:
        """Amodal mask of label k, hidden parts included: bool [H, W], True where it covers the pixel centre."""
        return self.covers(pixel_centres(self.size), t, k)

    def labels(self, t: int) -> np.ndarray:
        """The label of the front-most layer at each pixel centre: uint8 [H, W]."""
        labels = np.zeros(self.size, np.uint8)
        for k in range(1, len(self.layers)):
            labels[self.mask(t, k)] = k
        return labels

    def flow(self, t: int, u: int) -> np.ndarray:
        """Motion of what is seen in frame t: float32 [H, W, 2], (x, y) in pixels.

        The surface point at pixel p of frame t lies at p + flow[p] in frame u, be it visible there or not.
        """
        labels, pixels = self.labels(t), pixel_centres(self.size)
        motion = np.zeros(self.size, complex)
        for k in range(len(self.layers)):
            seen, start, end = labels == k, self.pose(t, k), self.pose(u, k)
            # end.to_pixels(local) - start.to_pixels(local), written so that t == u gives zero without rounding error.
            motion[seen] = (end.gain - start.gain) * start.to_local(pixels[seen]) + (end.centre - start.centre)
        return np.stack([motion.real, motion.imag], axis=-1).astype(np.float32)

    def occlusion(self, t: int, u: int) -> np.ndarray:
        """True where the surface point seen in frame t is hidden or out of the picture in frame u: bool [H, W]."""
        labels, pixels = self.labels(t), pixel_centres(self.size)
        lost = np.zeros(self.size, bool)
        for k in range(len(self.layers)):
            seen = labels == k
            arrived = self.pose(u, k).to_pixels(self.pose(t, k).to_local(pixels[seen]))
            hidden = [self.covers(arrived, u, front) for front in range(k + 1, len(self.layers))]
            lost[seen] = np.any([self.outside(arrived), *hidden], axis=0)
        return lost

    def covers(self, pixels: np.ndarray, t: int, k: int) -> np.ndarray:
        """True where the layer of label k covers the point in frame t: complex [...] to bool [...]."""
        return self.layers[k].distance(self.pose(t, k).to_local(pixels)) <= 0

    def outside(self, pixels: np.ndarray) -> np.ndarray:
        """True where a point lies on no pixel; each reaches half a pixel around its centre: complex to bool [...]."""
        height, width = self.size
        x, y = pixels.real + 0.5, pixels.imag + 0.5
        return (x < 0) | (x >= width) | (y < 0) | (y >= height)


def check_request(seed: int, size: tuple[int, int], objects: int) -> None:
    """Raise ValueError for a scene that must not or cannot be made."""
    most = len(COLOURS) - max(len(ground.clashes) for ground in GROUNDS.values())
    if seed >= RESERVED_SEED:
        raise ValueError(f"seed {seed} is reserved: take one below {RESERVED_SEED:,}, the rest is for final tests only")
    if min(size) < 2 or size[0] % 2 or size[1] % 2:
        raise ValueError(f"size {size} cannot be written as yuv420p: take an even height and an even width")
    if not 1 <= objects <= most:
        raise ValueError(f"{objects} objects cannot all have their own colour: take 1 to {most}")


def random_background(rng: np.random.Generator, size: tuple[int, int]) -> Background:
    """A kind of ground under a camera that drifts one way and sways a little."""
    height, width = size
    heading = np.exp(2j * np.pi * rng.uniform())
    drift = heading * rng.uniform(0.05, 0.10) * width  # pixels per second, 1.3 to 2.7 a frame at 640 wide, 24 fps
    x = Curve(0.0, drift.real, 0.02 * width, rng.uniform(3, 5), rng.uniform())
    y = Curve(0.0, 0.5 * drift.imag, 0.02 * height, rng.uniform(3, 5), rng.uniform())
    kind = pick(rng, GROUNDS)
    return Background(kind, Motion(x, y, Curve(float(height))), int(rng.integers(2**31)))


def random_thing(rng: np.random.Generator, size: tuple[int, int], colour: str, slot: float, diameter: float) -> Thing:
    """An object that swings about its slot (0 the left, 1 the right); the diameter is a share of the frame's height.

    Its centre keeps a tenth of the frame's height from every border, so that a good part is always in view.
    """
    height, width = size
    radius = diameter * height / 2
    x = Curve(width * (0.3 + 0.4 * slot), 0.0, width * rng.uniform(0.12, 0.2), rng.uniform(4, 7), rng.uniform())
    y = Curve(height * rng.uniform(0.42, 0.58), 0.0, height * rng.uniform(0.1, 0.2), rng.uniform(3, 5), rng.uniform())
    scale = Curve(radius, 0.0, 0.1 * radius, rng.uniform(3, 6), rng.uniform())
    spin = rng.uniform(0.3, 0.8) * rng.choice([-1, 1])  # radians per second
    angle = Curve(rng.uniform(-0.5, 0.5), float(spin))
    shape, texture = pick(rng, SHAPES), pick(rng, TEXTURES)
    return Thing(shape, colour, texture, Motion(x, y, scale, angle), soft=2 / radius)


def pick(rng: np.random.Generator, names: dict) -> str:
    """One key, each as likely as the others."""
    return list(names)[rng.integers(len(names))]


def with_article(name: str) -> str:
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def pixel_centres(size: tuple[int, int]) -> np.ndarray:
    """x + iy of every pixel: complex128 [H, W]."""
    height, width = size
    return np.arange(width) + 1j * np.arange(height)[:, None]


# ---- files -------------------------------------------------------------------------------------------------------


def write_clip(scene: Scene, path: str | Path, crf: int = 20) -> None:
    """The scene as H.264 (yuv420p, BT.709, limited range) with a soft chord in AAC; crf: 0 best, 51 worst."""
    with finished(path) as part, av.open(part, "w") as container:
        video = video_stream(container, scene, "libx264", "yuv420p", {"crf": str(crf), "preset": "slow"})
        bt709 = {"colorspace": 1, "color_primaries": 1, "color_trc": 1, "color_range": 1}
        for field, value in bt709.items():
            setattr(video.codec_context, field, value)
        sound = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        container.mux(sound.encode(chord(scene.frames / scene.fps)) + sound.encode(None))
        for t in range(scene.frames):
            frame = av.VideoFrame.from_ndarray(scene.frame(t), "rgb24")
            write_frame(container, video, frame.reformat(format="yuv420p", dst_colorspace=1, dst_color_range=1), t)
        container.mux(video.encode(None))


def write_masks(scene: Scene, path: str | Path, only: int | None = None) -> None:
    """The label maps as lossless gray video (FFV1): label k of N has the value round(255 k / N).

    With `only`, that object's visible part in white on black instead.

    Frame t is shown at t / fps, as in the clip; a .mkv rounds that to its clock of one millisecond.
    """
    with finished(path) as part, av.open(part, "w") as container:
        video = video_stream(container, scene, "ffv1", "gray", {})
        for t in range(scene.frames):
            labels = scene.labels(t)
            share = labels / len(scene.things) if only is None else labels == only
            values = np.rint(255 * share).astype(np.uint8)
            write_frame(container, video, av.VideoFrame.from_ndarray(values, "gray"), t)
        container.mux(video.encode(None))


def video_stream(
    container: av.container.OutputContainer, scene: Scene, codec: str, pix_fmt: str, options: dict[str, str]
) -> av.VideoStream:
    """A new stream whose clock ticks once a frame."""
    stream = container.add_stream(codec, rate=scene.fps, options=options)
    stream.height, stream.width = scene.size
    stream.pix_fmt = pix_fmt
    stream.codec_context.time_base = 1 / scene.fps
    return stream


def write_frame(container: av.container.OutputContainer, stream: av.VideoStream, frame: av.VideoFrame, t: int) -> None:
    frame.pts, frame.time_base = t, stream.codec_context.time_base
    container.mux(stream.encode(frame))


def chord(seconds: Fraction) -> av.AudioFrame:
    """An A major chord with a slow pulse, faded in and out: float32 mono in [-1, 1]."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tones = sum(np.sin(2 * np.pi * hertz * time) for hertz in (220.0, 277.18, 329.63))
    fade = smooth(np.minimum(time, float(seconds) - time) / 0.2)
    wave = 0.12 * tones * fade * (0.75 + 0.25 * np.cos(2 * np.pi * time))
    frame = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None], "fltp", "mono")
    frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, 0, Fraction(1, SAMPLE_RATE)
    return frame


@contextmanager
def finished(path: str | Path) -> Iterator[str]:
    """A name beside `path` to write to; it becomes `path` on success and disappears on an error."""
    path = Path(path)
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        yield str(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


# ---- command line ------------------------------------------------------------------------------------------------


def parse_size(text: str) -> tuple[int, int]:
    """ "640x360" to (360, 640)."""
    width, height = text.split("x")
    return int(height), int(width)


def main() -> None:
    parser = argparse.ArgumentParser(description="Write one clip of the toy world and the masks of its objects.")
    parser.add_argument("--seed", type=int, required=True, help=f"below {RESERVED_SEED:,}")
    parser.add_argument("--out", type=Path, required=True, help="the clip, .mp4")
    parser.add_argument("--masks", type=Path, required=True, help="the label maps, .mkv")
    parser.add_argument("--size", type=parse_size, default="640x360", help="width x height, both even")
    parser.add_argument("--frames", type=int, default=96)
    parser.add_argument("--fps", type=Fraction, default="24", help="whole, or a fraction such as 30000/1001")
    parser.add_argument("--objects", type=int, default=2)
    parser.add_argument("--only", type=int, help="the one object that the masks show")
    args = parser.parse_args()
    scene = Scene.random(args.seed, args.size, args.frames, args.fps, args.objects)
    write_clip(scene, args.out)
    write_masks(scene, args.masks, args.only)
    print(scene.caption, *scene.phrases, sep="\n")


if __name__ == "__main__":
    main()
