"""Masks of the frames between keyframes, as label maps <idx>.png of the whole upright frame; none where A is not."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from tqdm import tqdm

from clevam import flow, images, video
from clevam.files import members, replacing
from clevam.geometry import Box, cut, region
from clevam.orientation import upright
from clevam.shapes import Tools

Refine = Callable[[np.ndarray, np.ndarray], np.ndarray]


def write(
    path: str, target: str, *, index: dict, plan: dict, masks: Mapping[str, str], flows: str, frames: Sequence[int],
    refine: Refine,
) -> None:  # fmt: skip
    """Carry the keyframes' masks {name: path} to the other frames [first, last] of a block, into the folder `target`.

    flows: the block's folder of motion; refine: from the picture in the motion box, uint8 RGB [h, w, 3], and the share
    that each region has in its pixels, float32 [R, h, w], those shares anew.
    """
    size, regions, due = tuple(index["stream"]["upright"]), plan["regions"], between(plan, frames)
    with replacing(target) as folder:
        folder.mkdir()
        for i, picture in tqdm(_pictures(path, index, due), total=len(due), desc="masks between", unit="frame"):
            keys, box = due[i]
            ends = [shares(images.read_labels(masks[f"{k:06d}"], regions, size), regions) for k in keys]
            motion = flow.read(Path(flows) / f"{i:06d}{flow.SUFFIX}", box)
            found = refine(cut(picture, box), carried(ends, flow.weighed(motion, i, *keys), box))
            if (labels := drawn(found)).any():
                whole = np.zeros(size[::-1], np.uint8)
                whole[region(box)] = labels
                images.write_labels(folder / f"{i:06d}.png", whole, regions)


def copy(maps: Iterable[tuple[str, np.ndarray]], target: str, *, regions: int, tools: Tools) -> None:
    """Write masks that are known of every frame, (name, label map [H, W]), as `tools` make them."""
    with replacing(target) as folder:
        folder.mkdir()
        for name, labels in tqdm(maps, desc="masks between", unit="frame"):
            found = np.float32([tools(share > 0) for share in shares(labels, regions)])
            if found.any():
                images.write_labels(folder / f"{name}.png", drawn(found), regions)


def between(plan: dict, frames: Sequence[int]) -> dict[int, tuple[list[int], Box]]:
    """Of the frames [first, last] of a block those beside keyframes with A: {number: (keyframes, box)}."""
    return {
        i: (keys, box)
        for keys, (first, last), box in plan["motion"]
        if box
        for i in range(max(first, frames[0]), min(last, frames[1]) + 1)
    }


def _pictures(path: str, index: dict, due: Mapping[int, tuple]) -> Iterator[tuple[int, np.ndarray]]:
    """(frame number, upright uint8 RGB [H, W, 3]) of the frames that are due."""
    facts = index["stream"]
    if due:
        for i, frame in video.frames(path, min(due), max(due), index):
            if i in due:
                yield i, upright(video.rgb8(frame, facts), facts)


def shares(labels: np.ndarray, regions: int) -> np.ndarray:
    """Label map [H, W] to float32 [R, H, W], 1 where a region is."""
    return np.float32(labels == np.arange(1, regions + 1)[:, None, None])


def carried(ends: Sequence[np.ndarray], ways: Sequence[flow.Motion], box: Box) -> np.ndarray:
    """The share of each region in the pixels of the motion box, float32 [R, h, w], from those of its keyframes."""
    result = 0.0
    for end, (way, weight) in zip(ends, ways, strict=True):
        seen = [flow.warp(cut(one, box), way) for one in end]
        result = result + weight * np.stack(seen)
    return result


def drawn(found: np.ndarray) -> np.ndarray:
    """The label, uint8 [h, w], that has most of each pixel; of those that have as much, the one in front."""
    ground = 1 - found.sum(0, keepdims=True)
    return (len(found) - np.concatenate([found[::-1], ground]).argmax(0)).astype(np.uint8)


def film(
    target: str, *, index: dict, regions: int, masks: Mapping[str, str], folders: Iterable[str]
) -> None:  # fmt: skip
    """Write the masks of all frames, keyframes' {name: path} and those in `folders`, as a lossless gray video.

    It is a Matroska of evenly spaced levels, black where nothing is, one frame for each of the source's.
    """
    paths = dict(masks) | {Path(name).stem: f"{folder}/{name}" for folder in folders for name in members(folder)}
    size, levels = tuple(index["stream"]["upright"]), np.rint(np.linspace(0, 255, regions + 1)).astype(np.uint8)
    with replacing(target) as part, av.open(str(part), "w", format="matroska") as container:
        stream = container.add_stream("ffv1", rate=Fraction(*index["stream"]["rate"]))
        stream.width, stream.height, stream.pix_fmt = *size, "gray"
        for i in tqdm(range(len(index["pts"])), desc="masks video", unit="frame"):
            path = paths.get(f"{i:06d}")
            labels = images.read_labels(path, regions, size) if path else np.zeros(size[::-1], np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(levels[labels], format="gray")))
        container.mux(stream.encode())
