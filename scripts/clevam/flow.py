"""Motion of the original video: from every frame to its two neighbouring keyframes.

One file per frame, <idx>.npz, holds for each neighbour (`first`, `last`) the displacement of every second pixel of the
motion box in units of 1/UNIT pixel, int16 [h, w, 2] in (x, y) order: the surface point seen at p in this frame is seen
at p + displacement in the keyframe. Beside it `first_sure` and `last_sure`, uint8 [h, w], 255 where forward and
backward flow agree and 0 where they do not.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from clevam import video
from clevam.errors import UserError
from clevam.files import replacing
from clevam.geometry import Box, cut
from clevam.orientation import upright

UNIT = 32
STEP = 2  # pixels between stored displacements
AGREEMENT = 1.0  # pixels of forward-backward disagreement at which a displacement is half sure

_PRESETS = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}


class Dis:
    """Dense inverse search (Kroeger et al., ECCV 2016), on brightness."""

    look = staticmethod(video.luma8)

    def __init__(self, preset: str) -> None:
        self.dis = cv2.DISOpticalFlow_create(_PRESETS[preset])

    def __call__(self, here: np.ndarray, there: np.ndarray) -> np.ndarray:
        """Flow float32 [H, W, 2] from `here` to `there`, both uint8 [H, W]."""
        height, width = here.shape
        # It needs room for its coarsest patches; small crops are padded, not refused.
        room = [0, 0, max(width, 64), max(height, 64)]
        return self.dis.calc(cut(here, room, "edge"), cut(there, room, "edge"), None)[:height, :width]


def measure(path: str, target: str, *, index: dict, motion: list, frames: list[int], method: Callable) -> None:
    """Write the flow of the frames [first, last] of a block that lie strictly between two keyframes into `target`.

    motion: [first, last, box] per pair of keyframes (plan.json); pairs without a box have nothing to carry.
    method: a Dis or a Raft; its `look` says what it sees of a frame.
    """
    estimate = Estimator(method)
    with replacing(target) as folder:
        folder.mkdir()
        for a, b, box in tqdm([m for m in motion if m[2]], desc="flow", unit="interval"):
            inside = [i for i in range(max(a + 1, frames[0]), min(b, frames[1] + 1))]
            if not inside:
                continue
            pictures = dict(_crops(path, index, {a, b, *inside}, box, method.look))
            for i in inside:
                first, last = (estimate(pictures[i], pictures[k]) for k in (a, b))
                write(folder / f"{i:06d}.npz", first, last)


def _crops(path: str, index: dict, wanted: set[int], box: Box, look: Callable) -> Iterator[tuple[int, np.ndarray]]:
    """(frame number, what `look` sees of it inside the upright box) of the wanted frames."""
    facts = index["stream"]
    for i, frame in video.frames(path, min(wanted), max(wanted), index):
        if i in wanted:
            yield i, cut(upright(look(frame, facts), facts), box)


class Estimator:
    """A forward-backward check around a `method`, which gives the flow [H, W, 2] from one picture to another."""

    def __init__(self, method: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> None:
        self.method = method

    def __call__(self, here: np.ndarray, there: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Flow float32 [H, W, 2] from `here` to `there` and its certainty, float32 [H, W] 0..1."""
        forward, backward = self.method(here, there), self.method(there, here)
        returned = forward + warp(backward, forward)
        error = np.linalg.norm(returned, axis=-1)
        # What left the box has no way back, but its edge, repeated, would pretend that it has.
        inside = warp(np.ones_like(error), forward, cv2.BORDER_CONSTANT)
        return forward, (inside * np.exp2(-((error / AGREEMENT) ** 2))).astype(np.float32)


def warp(picture: np.ndarray, flow: np.ndarray, border: int = cv2.BORDER_REPLICATE) -> np.ndarray:
    """The picture [H, W] or [H, W, C] sampled bilinearly at p + flow[p] for every p; outside it, OpenCV's `border`."""
    height, width = flow.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return cv2.remap(picture, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=border)


def write(path: Path, first: tuple[np.ndarray, np.ndarray], last: tuple[np.ndarray, np.ndarray]) -> None:
    """Store (flow, certainty) towards the keyframe before and the one after, thinned to every STEP-th pixel."""
    arrays = {}
    for name, (flow, sure) in {"first": first, "last": last}.items():
        height, width = sure.shape
        small = (-(-width // STEP), -(-height // STEP))
        thin = cv2.resize(flow, small, interpolation=cv2.INTER_AREA) * UNIT
        arrays[name] = np.clip(np.rint(thin), -32768, 32767).astype(np.int16)
        arrays[f"{name}_sure"] = np.rint(cv2.resize(sure, small, interpolation=cv2.INTER_AREA) * 255).astype(np.uint8)
    np.savez_compressed(path, **arrays)


def read(path: Path, box: Box) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """{"first", "last"}: (flow float32 [H, W, 2], certainty float32 [H, W]) at the full size of the motion box."""
    size = (box[2], box[3])
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return {
                name: (
                    cv2.resize(stored[name].astype(np.float32) / UNIT, size),
                    cv2.resize(stored[f"{name}_sure"].astype(np.float32) / 255, size),
                )
                for name in ("first", "last")
            }
    except Exception:  # zipfile and zlib have a dozen ways to say that bytes are damaged
        raise UserError(f"{path}: missing or damaged; delete the folder {path.parent} and run again") from None
