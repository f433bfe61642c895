"""The result: edited keyframes carried along the source's motion and laid over its own samples."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache, reduce
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np
from tqdm import tqdm

from clevam import flow, images, video
from clevam.blend import joined, times
from clevam.encode import encoder
from clevam.files import members, replacing
from clevam.geometry import Box, bounding, cut, feather, grow, moved, region, seen_from, union
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


class Opened(NamedTuple):
    """Part of an edited keyframe, float32 [h, w, 4]: RGB 0..1 times weight, and weight."""

    painted: np.ndarray  # what is B's
    beside: np.ndarray  # what is not
    corner: tuple[int, int]  # where the part is, (x, y)


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
            painted, beside, corner = self.keyframe(i)
            alpha = feather(painted[..., 3] > 0, 0, self.rim + 1)
            box = bounding(alpha > 0)
            return box and Layer(cut((painted + beside)[..., :3], box), cut(alpha, box), moved(box, *corner))
        gaps = (self._between(i, frame, keys, box) for keys, (first, last), box in self.motion if first <= i <= last)
        return next(gaps, None)

    def _opened(self, k: int) -> Opened:
        """What is needed of an edited keyframe: the mask with its rim, and where motion leads to it."""
        name = f"{k:06d}"
        mask = self._mask(self.masks[name])
        around = bounding(mask)
        boxes = [box for keys, _, box in self.motion if k in keys]
        room = reduce(union, boxes, around and grow(around, self.rim + 1, self.size)) or [0, 0, 1, 1]
        edited = cut(images.read_rgb(self.edited[name], self.size), room) / np.float32(255)
        whole, inside = opaque(edited), np.float32(cut(mask, room))
        return Opened(times(whole, inside), times(whole, 1 - inside), tuple(room[:2]))

    def _keyframe(self, k: int) -> Opened:
        """The same, with what its neighbours' edits are mixed into it."""
        opened = self.opened(k)
        if not self.smooth:
            return opened
        return opened._replace(painted=steadied(opened.painted, self._neighbours(k, opened.corner), self.smooth))

    def _neighbours(self, k: int, corner: tuple[int, int]) -> Iterator[Neighbour]:
        for keys, _, box in self.motion:
            for other in set(keys) - {k} if k in keys else ():
                here, there = (cv2.cvtColor(cut(self.source(i), box), cv2.COLOR_RGB2GRAY) for i in (k, other))
                (way, sure), near = motion(here, there), self.opened(other)
                carried = flow.warp(near.painted, way, at=seen_from(box, near.corner)[:2])
                yield carried, sure, tuple(seen_from(box, corner)[:2])

    def _source(self, k: int) -> np.ndarray:
        """A keyframe of the source, uint8 RGB [H, W, 3]."""
        return images.read_rgb(self.sources[f"{k:06d}"], self.size)

    def _mask(self, path: str | Path) -> np.ndarray:
        """Where a label map says that A is, bool [H, W]."""
        return images.read_labels(path, self.regions, self.size) > 0

    def _between(self, i: int, frame: av.VideoFrame, keys: list[int], box: Box) -> Layer | None:
        """The keyframes beside frame i warped to it, weighted by how sure their motion is and how near they are."""
        block, name = f"{i // self.block:04d}", f"{i:06d}"
        folder = self.between[block]
        if f"{name}.png" not in members(folder):
            return None
        inside = cut(self._mask(f"{folder}/{name}.png"), box)
        found = bounding(inside)
        if not found:
            return None
        room = grow(moved(found, *box[:2]), self.rim + 1, self.size)
        # What lies beyond the box in which motion was measured moves on as its edge does.
        part = seen_from(room, box)
        mask = cut(inside, part, "constant")
        alpha = feather(mask, 0, self.rim + 1)
        measured = flow.weighed(flow.read(Path(self.flows[block]) / f"{name}{flow.SUFFIX}", box), i, *keys)
        ways, weights = ([cut(each, part, "edge") for each in kind] for kind in zip(*measured, strict=True))

        def carried(pictures: Iterable[np.ndarray], corners: Iterable[tuple[int, int]]) -> list[np.ndarray]:
            together = zip(pictures, ways, corners, strict=True)
            return [flow.warp(picture, way, at=seen_from(room, corner)[:2]) for picture, way, corner in together]

        painted, beside, corners = zip(*map(self.keyframe, keys), strict=True)
        own, beside = joined(carried(painted, corners), weights), mixed(carried(beside, corners), weights)
        known = own[..., 3] >= SEEN
        if not known.any():
            return None
        colours = filled(divided(own), known)
        if self.follow_light:
            here = cut(upright(video.rgb8(frame, self.facts), self.facts), room)
            before = mixed(carried(map(self.source, keys), [(0, 0)] * len(keys)), weights)
            colours *= gain(here, before, np.float32(mask))
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
    share = np.maximum(soft, own * (soft > 0.01)) * (alpha > 0)
    share[mask] = 1
    both = times(opaque(colours), share) + times(beside, (1 - share) * alpha)
    return Layer(divided(both), both[..., 3], room)


def mixed(pictures: Iterable[np.ndarray], weights: Iterable[np.ndarray]) -> np.ndarray:
    """The sum of pictures [h, w, C] times their weights [h, w]."""
    return sum(times(picture, weight) for picture, weight in zip(pictures, weights, strict=True))


def opaque(rgb: np.ndarray) -> np.ndarray:
    """Colours [H, W, 3] with a weight of 1 as their fourth."""
    return cv2.merge([*cv2.split(rgb), np.ones_like(rgb[..., 0])])


def divided(weighed: np.ndarray) -> np.ndarray:
    """Colours [H, W, 3] from [H, W, 4], where they are multiplied by the fourth."""
    *rgb, weight = cv2.split(weighed)
    return cv2.merge([colour / np.maximum(weight, 1e-6) for colour in rgb])


def filled(picture: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The picture [H, W, 3] with the nearest known pixel, if there are any, in place of each that is not known."""
    if known.all() or not known.any():
        return picture
    _, nearest = cv2.distanceTransformWithLabels(
        np.uint8(~known), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    result = picture.copy()
    # known pixels are numbered row by row, from 1
    result[~known] = picture.reshape(-1, 3)[np.flatnonzero(known)[nearest[~known] - 1]]
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
