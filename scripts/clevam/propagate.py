"""The result: edited keyframes carried along the source's motion and laid over its own samples."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np
from tqdm import tqdm

from clevam import flow, images, video
from clevam.blend import joined
from clevam.encode import encoder
from clevam.files import replacing
from clevam.geometry import Box, bounding, cut, feather, grow, region
from clevam.light import gain
from clevam.orientation import as_stored, upright
from clevam.steady import Neighbour, motion, steadied
from clevam.yuv import Format, from_rgb, quantise, subsample

SEEN = 0.02  # share of a pixel that must come from what was painted in a keyframe
SOFT = 1.0  # pixels: spread of the edge of B between keyframes


class Layer(NamedTuple):
    """What is laid over a frame: RGB float32 [h, w, 3] 0..1 and its weight float32 [h, w] 0..1, at an upright box."""

    rgb: np.ndarray
    alpha: np.ndarray
    box: Box


def render(
    source: str, target: str, *, index: dict, frames: Sequence[int], plan: dict, edited: dict[str, str],
    masks: dict[str, str], between: dict[str, str], flows: dict[str, str], block: int, rim: int, encode: dict,
    sources: dict[str, str] | None = None, follow_light: bool = False, smooth: float = 0.0,
) -> None:  # fmt: skip
    """Write the frames [first, last] of the edited video to `target`, a stretch of picture (encode.encoder).

    edited, masks: {keyframe: PNG path}; between, flows: {block: folder} of the other frames' masks and of their motion;
    block: frames per block; rim: width of the feathered edge in pixels; encode: config.Encode as a mapping.
    follow_light: B grows brighter and darker as the source does; smooth: how much of the neighbouring keyframes' edits
    is in each, 0..1; both need `sources`, the source's keyframes {name: PNG path}. Frames are read, composited and
    written one at a time.
    """
    facts, (first, last) = index["stream"], frames
    layers = Layers(index, plan, edited, masks, between, flows, block, rim, sources, follow_light, smooth)
    with replacing(target) as part, encoder(part, facts, encode) as write:
        found = video.frames(source, first, last, index)
        for i, frame in tqdm(found, total=last + 1 - first, desc="stretch", unit="frame"):
            samples, layer = video.planes(frame, facts), layers.at(i, frame)
            if layer is not None:
                samples = composite(samples, layer, facts)
            write(video.to_frame(samples, facts, frame.pts))


class Layers:
    """The layer of every frame; at most two keyframes, and their neighbours, are held at a time."""

    def __init__(
        self, index: dict, plan: dict, edited: dict, masks: dict, between: dict, flows: dict, block: int, rim: int,
        sources: dict | None = None, follow_light: bool = False, smooth: float = 0.0,
    ) -> None:  # fmt: skip
        self.facts, self.size = index["stream"], tuple(index["stream"]["upright"])
        self.edited, self.masks, self.between, self.flows, self.sources = edited, masks, between, flows, sources
        self.block, self.rim, self.follow_light, self.smooth = block, rim, follow_light, smooth
        self.regions, self.motion = plan["regions"], [m for m in plan["motion"] if m[2]]
        near = 3 if smooth else 1
        self.source, self.opened = lru_cache(3)(self._source), lru_cache(near)(self._opened)
        self.keyframe = lru_cache(2)(self._keyframe)

    def at(self, i: int, frame: av.VideoFrame | None = None) -> Layer | None:
        """The layer of frame i, which is `frame` of the source (for its light); None if it passes through as it is."""
        if f"{i:06d}" in self.edited:
            painted, beside = self.keyframe(i)
            alpha = feather(painted[..., 3] > 0, 0, self.rim + 1)
            box = bounding(alpha > 0)
            return box and Layer(cut((painted + beside)[..., :3], box), cut(alpha, box), box)
        gaps = (self._between(i, frame, keys, box) for keys, (first, last), box in self.motion if first <= i <= last)
        return next(gaps, None)

    def _opened(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Of an edited keyframe what is painted, and what is beside it: RGB 0..1 times weight, and weight [H, W, 4]."""
        mask, edited = self._mask(self.masks[f"{k:06d}"]), images.read_rgb(self.edited[f"{k:06d}"], self.size)
        whole = np.dstack([edited.astype(np.float32) / 255, np.ones(mask.shape, np.float32)])
        return whole * mask[..., None], whole * ~mask[..., None]

    def _keyframe(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The same, with what its neighbours' edits are mixed into it."""
        painted, beside = self.opened(k)
        if self.smooth:
            painted = steadied(painted, self._neighbours(k), self.smooth)
        return painted, beside

    def _neighbours(self, k: int) -> Iterator[Neighbour]:
        for keys, _, box in self.motion:
            for other in set(keys) - {k} if k in keys else ():
                here, there = (cv2.cvtColor(cut(self.source(i), box), cv2.COLOR_RGB2GRAY) for i in (k, other))
                yield self.opened(other)[0], motion(here, there), box[:2]

    def _source(self, k: int) -> np.ndarray:
        """A keyframe of the source, uint8 RGB [H, W, 3]."""
        return images.read_rgb(self.sources[f"{k:06d}"], self.size)

    def _mask(self, path: str | Path) -> np.ndarray:
        """Where a label map says that A is, bool [H, W]."""
        return images.read_labels(path, self.regions, self.size) > 0

    def _between(self, i: int, frame: av.VideoFrame, keys: list[int], box: Box) -> Layer | None:
        """The keyframes beside frame i warped to it, weighted by how sure their motion is and how near they are."""
        block, name = f"{i // self.block:04d}", f"{i:06d}"
        path = Path(self.between[block]) / f"{name}.png"
        if not path.exists():
            return None
        mask = np.zeros(self.size[::-1], bool)
        mask[region(box)] = self._mask(path)[region(box)]
        if not mask.any():
            return None
        room = grow(bounding(mask), self.rim + 1, self.size)
        mask = cut(mask, room)
        alpha = feather(mask, 0, self.rim + 1)
        # What lies beyond the box in which motion was measured moves on as its edge does.
        offset = [room[0] - box[0], room[1] - box[1], room[2], room[3]]
        found = flow.weighed(flow.read(Path(self.flows[block]) / f"{name}.npz", box), i, *keys)
        ways, weights = ([cut(each, offset, "edge") for each in kind] for kind in zip(*found, strict=True))

        def carried(pictures: Iterable[np.ndarray]) -> list[np.ndarray]:
            return [flow.warp(picture, way, at=room[:2]) for picture, way in zip(pictures, ways, strict=True)]

        painted, beside = (carried(pictures) for pictures in zip(*map(self.keyframe, keys), strict=True))
        own, beside = joined(painted, weights), mixed(beside, weights)
        known = own[..., 3] >= SEEN
        if not known.any():
            return None
        colours = filled(divided(own), known)
        if self.follow_light:
            here = cut(upright(video.rgb8(frame, self.facts), self.facts), room)
            colours *= gain(here, mixed(carried(map(self.source, keys)), weights), np.float32(mask))
        return edged(colours, own[..., 3], beside, mask, alpha, room)


def edged(
    colours: np.ndarray, own: np.ndarray, beside: np.ndarray, mask: np.ndarray, alpha: np.ndarray, room: Box
) -> Layer:
    """B's colours [h, w, 3] within its mask [h, w], and a soft edge around it.

    It is softer than a mask, which is right by a pixel at best: the source's A must not show at the edge of B. What is
    not B of a pixel there is what was beside B in the keyframes. own: the share of B in what was carried to a pixel;
    beside: the rest of it, RGB times weight, and weight [h, w, 4]; alpha: the feathered mask.
    """
    soft = cv2.GaussianBlur(np.float32(mask), (0, 0), SOFT)
    share = np.where(mask, 1, np.maximum(soft, own * (soft > 0.01)) * (alpha > 0))[..., None]
    beside = (1 - share) * alpha[..., None] * beside
    weight = share + beside[..., 3:]
    rgb = share * colours + beside[..., :3]
    return Layer(rgb / np.maximum(weight, 1e-6), weight[..., 0], room)


def mixed(pictures: Iterable[np.ndarray], weights: Iterable[np.ndarray]) -> np.ndarray:
    """The sum of pictures [h, w, C] times their weights [h, w]."""
    return sum(weight[..., None] * picture for picture, weight in zip(pictures, weights, strict=True))


def divided(weighed: np.ndarray) -> np.ndarray:
    """Colours [H, W, 3] from [H, W, 4], where they are multiplied by the fourth."""
    return weighed[..., :3] / np.maximum(weighed[..., 3:], 1e-6)


def filled(picture: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The picture [H, W, 3] with the nearest known pixel, if there are any, in place of each that is not known."""
    if known.all() or not known.any():
        return picture
    _, nearest = cv2.distanceTransformWithLabels(
        np.uint8(~known), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    result = picture.copy()
    result[~known] = picture[known][nearest[~known] - 1]  # known pixels are numbered row by row, from 1
    return result


def composite(samples: list[np.ndarray], layer: Layer, facts: dict) -> list[np.ndarray]:
    """The planes of a frame with the layer over them; samples to which it gives no weight are the same bits."""
    form = Format.of(facts)
    layer = stored(layer, facts)
    left, top, width, height = _whole_cells(layer.box, form.chroma, samples[0].shape[::-1])
    cells = [left - layer.box[0], top - layer.box[1], width, height]
    alpha, rgb = (cut(p, cells, "constant") for p in (layer.alpha, layer.rgb))
    over = from_rgb(rgb, replace(form, chroma=(1, 1)))
    result = []
    for plane, colour, cell in zip(samples, over, [(1, 1), form.chroma, form.chroma], strict=True):
        # Each pixel counts by its weight: the colour where the layer is clear must not stain its rim.
        weight, share = subsample(alpha, cell), subsample(alpha * colour, cell)
        at = region([left // cell[0], top // cell[1], weight.shape[1], weight.shape[0]])
        mixed = quantise(share + (1 - weight) * plane[at], form)
        plane = plane.copy()
        plane[at] = np.where(weight > 0, mixed, plane[at])
        result.append(plane)
    return result


def _whole_cells(box: Box, cell: tuple[int, int], size: tuple[int, int]) -> Box:
    """The smallest box of whole chroma cells around `box`, within a picture of `size` (width, height)."""
    start = [b // c * c for b, c in zip(box[:2], cell, strict=True)]
    end = [min(-(-(b + s) // c) * c, e) for b, s, c, e in zip(box[:2], box[2:], cell, size, strict=True)]
    return [*start, end[0] - start[0], end[1] - start[1]]


def stored(layer: Layer, facts: dict) -> Layer:
    """An upright layer turned and stretched to the frame as it is stored."""
    if facts["rotation"] == 0 and facts["sample_aspect"] == [1, 1]:
        return layer
    width, height = facts["upright"]
    # Colour travels multiplied by its weight, or the empty canvas would darken the rim.
    canvas = np.zeros((height, width, 4), np.float32)
    canvas[region(layer.box)] = np.dstack([layer.rgb * layer.alpha[..., None], layer.alpha])
    canvas = as_stored(canvas, facts)
    box = bounding(canvas[..., 3] > 0) or [0, 0, 1, 1]
    rgb, alpha = np.split(cut(canvas, box), [3], axis=-1)
    return Layer(rgb / np.maximum(alpha, 1e-6), alpha[..., 0], box)
