"""The result: edited keyframes carried along the source's motion and laid over its own samples."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from clevam import flow, images, video
from clevam.encode import Encoder
from clevam.files import replacing
from clevam.geometry import Box, bounding, cut, feather, grow, region
from clevam.orientation import as_stored
from clevam.yuv import Format, from_rgb, quantise, subsample


class Layer(NamedTuple):
    """What is laid over a frame: RGB float32 [h, w, 3] 0..1 and its weight float32 [h, w] 0..1, at an upright box."""

    rgb: np.ndarray
    alpha: np.ndarray
    box: Box


def render(
    source: str, target: str, *, index: dict, plan: dict, edited: dict[str, str], masks: dict[str, str],
    flows: dict[str, str], block: int, rim: int, encode: dict,
) -> None:  # fmt: skip
    """Write the edited video `target` (mp4).

    edited, masks: {keyframe: PNG path}; flows: {block: folder}; block: frames per block; rim: width of the feathered
    edge in pixels; encode: config.Encode as a mapping. Frames are read, composited and written one at a time.
    """
    facts, damaged = index["stream"], index["damage"] is not None
    layers = Layers(index, plan, edited, masks, flows, block, rim)
    with replacing(target) as part, Encoder(part, source, facts, encode, damaged=damaged) as encoder:
        for i, frame in tqdm(video.frames(source, index=index), total=len(index["pts"]), desc="out", unit="frame"):
            samples, layer = video.planes(frame, facts), layers.at(i)
            if layer is not None:
                samples = composite(samples, layer, facts)
            encoder.write(video.to_frame(samples, facts, frame.pts))


class Layers:
    """The layer of every frame; at most the two neighbouring keyframes are held at a time."""

    def __init__(self, index: dict, plan: dict, edited: dict, masks: dict, flows: dict, block: int, rim: int) -> None:
        self.size = tuple(index["stream"]["upright"])
        self.edited, self.masks, self.flows, self.block, self.rim = edited, masks, flows, block, rim
        self.regions, self.motion = plan["regions"], [m for m in plan["motion"] if m[2]]
        self.keyframe = lru_cache(2)(self._keyframe)

    def at(self, i: int) -> Layer | None:
        """The layer of frame i; None if the frame passes through as it is."""
        if f"{i:06d}" in self.edited:
            rgb, alpha = self.keyframe(i)
            box = bounding(alpha > 0)
            return box and Layer(cut(rgb, box), cut(alpha, box), box)
        return next((self._between(i, a, b, box) for a, b, box in self.motion if a < i < b), None)

    def _keyframe(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Edited RGB [H, W, 3] 0..1 and feathered mask [H, W] of a keyframe."""
        name = f"{i:06d}"
        mask = images.read_labels(self.masks[name], self.regions) > 0
        edited = images.read_rgb(self.edited[name], self.size).astype(np.float32) / 255
        return edited, feather(mask, 0, self.rim + 1)

    def _between(self, i: int, a: int, b: int, box: Box) -> Layer | None:
        """Both keyframes warped to frame i, weighted by how sure their motion is and how near they are."""
        motion = flow.read(Path(self.flows[f"{i // self.block:04d}"]) / f"{i:06d}.npz", box)
        # The rim may reach beyond the box in which motion was measured: what is at its edge moves on.
        room = grow(box, self.rim, self.size)
        offset = [room[0] - box[0], room[1] - box[1], room[2], room[3]]
        nearness = {"first": (b - i) / (b - a), "last": (i - a) / (b - a)}
        weights, alphas, colours = 0.0, 0.0, 0.0
        for name, k in (("first", a), ("last", b)):
            way, sure = (cut(m, offset, "edge") for m in motion[name])
            rgb, alpha = (flow.warp(cut(p, room), way) for p in self.keyframe(k))
            weight = nearness[name] * (sure + 1e-3)
            weights = weights + weight
            alphas = alphas + weight * alpha
            colours = colours + (weight * alpha)[..., None] * rgb
        if not alphas.any():
            return None
        return Layer(colours / np.maximum(alphas, 1e-6)[..., None], alphas / weights, room)


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
