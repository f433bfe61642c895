"""The result: edited keyframes carried along the source's motion and laid over its own samples."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from tqdm import tqdm

from clevam import flow, images, video
from clevam.encode import encoder
from clevam.files import replacing
from clevam.geometry import Box, bounding, cut, feather, grow, region
from clevam.orientation import as_stored
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
) -> None:  # fmt: skip
    """Write the frames [first, last] of the edited video to `target`, a stretch of picture (encode.encoder).

    edited, masks: {keyframe: PNG path}; between, flows: {block: folder} of the other frames' masks and of their motion;
    block: frames per block; rim: width of the feathered edge in pixels; encode: config.Encode as a mapping. Frames are
    read, composited and written one at a time.
    """
    facts, (first, last) = index["stream"], frames
    layers = Layers(index, plan, edited, masks, between, flows, block, rim)
    with replacing(target) as part, encoder(part, facts, encode) as write:
        found = video.frames(source, first, last, index)
        for i, frame in tqdm(found, total=last + 1 - first, desc="stretch", unit="frame"):
            samples, layer = video.planes(frame, facts), layers.at(i)
            if layer is not None:
                samples = composite(samples, layer, facts)
            write(video.to_frame(samples, facts, frame.pts))


class Layers:
    """The layer of every frame; at most the two neighbouring keyframes are held at a time."""

    def __init__(
        self, index: dict, plan: dict, edited: dict, masks: dict, between: dict, flows: dict, block: int, rim: int
    ) -> None:  # fmt: skip
        self.size = tuple(index["stream"]["upright"])
        self.edited, self.masks, self.between, self.flows = edited, masks, between, flows
        self.block, self.rim = block, rim
        self.regions, self.motion = plan["regions"], [m for m in plan["motion"] if m[2]]
        self.keyframe = lru_cache(2)(self._keyframe)

    def at(self, i: int) -> Layer | None:
        """The layer of frame i; None if the frame passes through as it is."""
        if f"{i:06d}" in self.edited:
            _, whole, alpha = self.keyframe(i)
            box = bounding(alpha > 0)
            return box and Layer(cut(whole[..., :3], box), cut(alpha, box), box)
        found = (self._between(i, keys, box) for keys, (first, last), box in self.motion if first <= i <= last)
        return next(found, None)

    def _keyframe(self, i: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of a keyframe what is painted, 0 elsewhere, and all of it, both RGB 0..1 and weight [H, W, 4]; its feathered
        mask [H, W]."""
        mask, edited = self._mask(self.masks[f"{i:06d}"]), images.read_rgb(self.edited[f"{i:06d}"], self.size)
        whole = np.dstack([edited.astype(np.float32) / 255, np.ones(mask.shape, np.float32)])
        return whole * mask[..., None], whole, feather(mask, 0, self.rim + 1)

    def _mask(self, path: str | Path) -> np.ndarray:
        """Where a label map says that A is, bool [H, W]."""
        return images.read_labels(path, self.regions, self.size) > 0

    def _between(self, i: int, keys: list[int], box: Box) -> Layer | None:
        """The keyframes beside frame i warped to it, weighted by how sure their motion is and how near they are."""
        block, name = f"{i // self.block:04d}", f"{i:06d}"
        path = Path(self.between[block]) / f"{name}.png"
        if not path.exists():
            return None
        motion, mask = flow.read(Path(self.flows[block]) / f"{name}.npz", box), np.zeros(self.size[::-1], bool)
        mask[region(box)] = self._mask(path)[region(box)]
        if not mask.any():
            return None
        room = grow(bounding(mask), self.rim + 1, self.size)
        mask = cut(mask, room)
        alpha = feather(mask, 0, self.rim + 1)
        # What lies beyond the box in which motion was measured moves on as its edge does.
        offset = [room[0] - box[0], room[1] - box[1], room[2], room[3]]
        own, seen = 0.0, 0.0
        for k, ways in zip(keys, flow.weighed(motion, i, *keys), strict=True):
            way, weight = (cut(each, offset, "edge") for each in ways)
            painted, whole = (flow.warp(picture, way, at=room[:2]) for picture in self.keyframe(k)[:2])
            own, seen = own + weight[..., None] * painted, seen + weight[..., None] * whole
        known = own[..., 3] >= SEEN
        if not known.any():
            return None
        # Softer than a mask, which is right by a pixel at best: the source's A must not show at the edge of B. What is
        # not B of a pixel there is what was beside B in the keyframes.
        soft = cv2.GaussianBlur(np.float32(mask), (0, 0), SOFT)
        share = np.where(mask, 1, np.maximum(soft, own[..., 3] * (soft > 0.01)) * (alpha > 0))[..., None]
        beside = (1 - share) * alpha[..., None] * (seen - own)
        weight = share + beside[..., 3:]
        rgb = share * filled(divided(own), known) + beside[..., :3]
        return Layer(rgb / np.maximum(weight, 1e-6), weight[..., 0], room)


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
