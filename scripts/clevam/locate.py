"""Where A is where nobody has to look for it: candidates for every keyframe, from files or from boxes."""

from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path

import numpy as np

from clevam import candidates, images, video
from clevam.candidates import Candidates
from clevam.errors import UserError
from clevam.orientation import upright


def from_files(files: list[str], target: str, *, index: dict, names: list[str], labels: list[int]) -> None:
    """Write the candidates of the keyframes `names` into `target`: from one mask video, or from a picture for each.

    labels: of each region its label in them, 0 if it has none.
    """
    if len(files) == 1 and Path(files[0]).suffix.lower() != ".png":
        maps = from_video(files[0], names, max(labels), index["stream"]["upright"])
    else:
        maps = ((name, images.read_labels(path, max(labels))) for name, path in zip(names, files, strict=True))

    def found(drawn: np.ndarray) -> Candidates:
        seen = {r: drawn == n for r, n in enumerate(labels) if n and (drawn == n).any()}
        return Candidates.certain(seen, drawn.shape)

    candidates.write_all(target, index["stream"]["upright"], ((name, found(drawn)) for name, drawn in maps))


def from_boxes(target: str, *, index: dict, names: list[str], boxes: list) -> None:
    """Write candidates that are filled boxes: per region one [x0, y0, x1, y1], or {frame: box} with straight lines
    between, or None for the whole frame."""
    width, height = index["stream"]["upright"]

    def filled(box: list | dict | None, frame: int) -> np.ndarray:
        result = np.zeros((height, width), bool)
        x0, y0, x1, y1 = (round(max(v, 0)) for v in box_at(box or [0, 0, width, height], frame))
        if not isinstance(box, dict) and not result[y0:y1, x0:x1].size:
            raise UserError(f"box {box} lies outside of the upright picture, {width}x{height}")
        result[y0:y1, x0:x1] = True
        return result

    def found(name: str) -> Candidates:
        drawn = {r: filled(box, int(name)) for r, box in enumerate(boxes)}
        return Candidates.certain({r: mask for r, mask in drawn.items() if mask.any()}, (height, width))

    candidates.write_all(target, (width, height), ((name, found(name)) for name in names))


def box_at(box: list | dict, frame: int) -> list[float]:
    """The box at a frame: given ones as they are, straight lines between two, the nearest beyond the ends."""
    if not isinstance(box, dict):
        return box
    given = sorted((int(f), b) for f, b in box.items())
    frames, boxes = zip(*given, strict=True)
    return [float(np.interp(frame, frames, side)) for side in zip(*boxes, strict=True)]


def from_video(
    source: str, names: list[str], regions: int, size: Sequence[int] = (0, 0)
) -> Iterator[tuple[str, np.ndarray]]:
    """(name, label map [H, W]) of the frames `names` of a mask video.

    It has the source's frame numbers, and evenly spaced levels from black to white. size: of the source, (width,
    height).
    """
    facts, wanted = video.probe(source, max(video.PIXELS, prod(size))), {int(n) for n in names}
    last = -1
    for last, frame in video.frames(source, last=max(wanted)):
        if last in wanted:
            gray = upright(video.gray8(frame, facts), facts)
            yield f"{last:06d}", images.labels_of_levels(gray, regions, f"{source}: frame {last}")
    if last < max(wanted):
        raise UserError(f"{source}: ends at frame {last}, but a mask of frame {max(wanted)} is needed")
