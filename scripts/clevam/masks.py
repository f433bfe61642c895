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


def from_boxes(target: str, *, index: dict, names: list[str], boxes: list, labels: list[int]) -> None:
    """Write label maps of filled boxes, from back to front: per region one [x0, y0, x1, y1], or {frame: box} with
    straight lines between, or None for the whole frame."""
    width, height = index["stream"]["upright"]

    def filled(name: str) -> np.ndarray:
        result = np.zeros((height, width), np.uint8)
        for box, label in zip(boxes, labels, strict=True):
            x0, y0, x1, y1 = (round(max(v, 0)) for v in box_at(box or [0, 0, width, height], int(name)))
            if not isinstance(box, dict) and not result[y0:y1, x0:x1].size:
                raise UserError(f"box {box} lies outside of the upright picture, {width}x{height}")
            result[y0:y1, x0:x1] = label
        return result

    _write(target, index, ((n, filled(n)) for n in names), max(labels))


def from_words(
    pictures: list[str], target: str, *, index: dict, names: list[str], phrases: list[str | None], labels: list[int],
    threshold: float, models: list[str], device: str,
) -> None:  # fmt: skip
    """Write label maps of what the phrases name in the keyframes, from back to front (Grounded SAM).

    The best box of each phrase that scores at least `threshold` is filled with its label; a phrase that is found
    nowhere in a picture leaves its region empty there. None stands for the whole frame.
    models: paths of the detector's weights, config and text, and of the segmenter's weights.
    """
    from clevam.finder import Finder  # PyTorch takes seconds to import, which the other ways do not need

    find = Finder(models, device)
    asked = [r for r, phrase in enumerate(phrases) if phrase is not None]

    def filled(path: str) -> np.ndarray:
        picture = images.read_rgb(path)
        found, scores = find(picture, [phrases[r] for r in asked], threshold)
        said = (f"{phrases[r]!r} {score:.2f}" for r, score in zip(asked, scores, strict=True))
        print(f"{path}: best scores: {', '.join(said)}")
        shapes = {r: shape for r, shape in zip(asked, found, strict=True) if shape is not None}
        result = np.zeros(picture.shape[:2], np.uint8)
        for r, label in enumerate(labels):
            if r in shapes or r not in asked:
                result[shapes.get(r, ...)] = label
        return result

    _write(target, index, ((name, filled(path)) for name, path in zip(names, pictures, strict=True)), max(labels))


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
