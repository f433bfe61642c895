"""Where A is: label maps for the keyframes, 0 for the background and 1..N for the regions."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from clevam import images, video
from clevam.errors import UserError
from clevam.files import replacing
from clevam.orientation import upright


def from_files(files: list[str], target: str, *, index: dict, names: list[str], regions: int) -> None:
    """Write the label maps of the keyframes `names` into `target`: from one mask video, or from a picture for each."""
    if len(files) == 1 and Path(files[0]).suffix.lower() != ".png":
        maps = _from_video(files[0], names, regions)
    else:
        maps = ((name, images.read_labels(path, regions)) for name, path in zip(names, files, strict=True))
    _write(target, index, maps, regions)


def from_boxes(target: str, *, index: dict, names: list[str], boxes: list) -> None:
    """Write label maps of filled boxes: per region one [x0, y0, x1, y1], or {frame: box}, straight lines between."""
    width, height = index["stream"]["upright"]

    def labels(name: str) -> np.ndarray:
        result = np.zeros((height, width), np.uint8)
        for label, box in enumerate(boxes, 1):
            x0, y0, x1, y1 = (round(max(v, 0)) for v in box_at(box, int(name)))
            if not isinstance(box, dict) and not result[y0:y1, x0:x1].size:
                raise UserError(f"box {box} lies outside of the upright picture, {width}x{height}")
            result[y0:y1, x0:x1] = label
        return result

    _write(target, index, ((n, labels(n)) for n in names), len(boxes))


def box_at(box: list | dict, frame: int) -> list[float]:
    """The box at a frame: given ones as they are, straight lines between two, the nearest beyond the ends."""
    if not isinstance(box, dict):
        return box
    given = sorted((int(f), b) for f, b in box.items())
    frames, boxes = zip(*given, strict=True)
    return [float(np.interp(frame, frames, side)) for side in zip(*boxes, strict=True)]


def _from_video(source: str, names: list[str], regions: int) -> Iterator[tuple[str, np.ndarray]]:
    """Frames of a mask video with the source's frame numbers, evenly spaced levels from black to white."""
    facts, wanted = video.probe(source), {int(n) for n in names}
    last = -1
    for last, frame in video.frames(source, last=max(wanted)):
        if last in wanted:
            gray = upright(video.gray8(frame, facts), facts)
            yield f"{last:06d}", images.labels_of_levels(gray, regions, f"{source}: frame {last}")
    if last < max(wanted):
        raise UserError(f"{source}: ends at frame {last}, but a mask of frame {max(wanted)} is needed")


def _write(target: str, index: dict, maps: Iterable[tuple[str, np.ndarray]], regions: int) -> None:
    size = index["stream"]["upright"]
    with replacing(target) as folder:
        folder.mkdir()
        for name, labels in tqdm(maps, desc="masks", unit="frame"):
            if list(labels.shape[::-1]) != size:
                found = "x".join(map(str, labels.shape[::-1]))
                wanted = "x".join(map(str, size))
                raise UserError(f"masks.path: the mask of frame {int(name)} is {found}; make it {wanted}, as the video")
            images.write_labels(folder / f"{name}.png", labels, regions)
