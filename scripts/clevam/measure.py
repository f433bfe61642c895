"""One pass over a source and its result, frame by frame: what a report shows of them, measured and made small."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from tqdm import tqdm

from clevam import flow, images, metrics, proxies, video
from clevam.figures import EVERY, METRICS
from clevam.files import by_name, members, read_json, replacing, write_json
from clevam.geometry import feather, region
from clevam.orientation import as_stored, upright

OVERLAYS = ("mask", "motion", "confidence", "difference")
MOST = 24  # keyframes on a contact sheet


class Frame(NamedTuple):
    """Frame `number` of both: planes as stored, pictures uint8 RGB as upright, time in the source's time base."""

    number: int
    pts: int
    planes: tuple[list[np.ndarray], list[np.ndarray]]
    before: np.ndarray
    after: np.ndarray


class Small(NamedTuple):
    """What motion is measured on: both pictures, at most proxies.SMALL long, and the mask."""

    before: np.ndarray
    after: np.ndarray
    mask: np.ndarray


def measure(
    source: str, result: str, target: str, *, index: dict, masks: "Masks", sureness: "Sureness", rim: int,
    keyframes: Mapping[str, str], edited: Mapping[str, str],
) -> None:  # fmt: skip
    """Write the folder `target`: measured.json, a video each for source, edit and OVERLAYS, and the contact sheet.

    rim: width of the feathered edge in pixels; keyframes, edited: {name: PNG path} of the source's and the edited ones.
    Frames are paired by number, not by time, and are read, measured and written one at a time.
    """
    pairs = Pairs(source, result, index)
    # Before and after the range, A is not edited and has no mask.
    parts = [*index["shots"], *index["segments"]]
    cuts = {first for first, _ in parts} | {last + 1 for _, last in parts}
    meter = Meter(index["stream"], masks, sureness, rim)
    with replacing(target) as folder:
        folder.mkdir()
        with ExitStack() as stack:
            show = {
                name: stack.enter_context(proxies.video(folder / f"{name}.mp4", index["stream"], pairs.seconds, rate))
                for name, rate in [("source", proxies.RATE), ("edit", proxies.RATE)]
                + [(name, proxies.OVERLAY_RATE) for name in OVERLAYS]
            }
            for frame in tqdm(pairs, total=len(index["pts"]), desc="measure", unit="frame"):
                for name, picture in meter.take(frame, cut=frame.number in cuts).items():
                    show[name](picture, frame.pts)
        contact(folder, masks, keyframes, edited)
        write_json(folder / "measured.json", meter.told() | {"frames": pairs.told()})


class Pairs:
    """Frames of a source and of its result, one beside the other; afterwards `told` says what did not match."""

    def __init__(self, source: str, result: str, index: dict) -> None:
        self.source, self.result, self.index = source, result, index
        self.facts = index["stream"], video.probe(result)
        self.times = video.seconds(index["pts"], index["stream"])
        self.seconds = self.times[-1] + self.times[-1] / max(len(self.times) - 1, 1)
        self.found, self.late = 0, 0.0

    def __iter__(self) -> Iterator[Frame]:
        own, theirs = video.frames(self.source, index=self.index), video.frames(self.result)
        start = None
        for (i, before), (_, after) in zip(own, theirs, strict=False):
            start = after.time if start is None else start
            self.found, self.late = i + 1, max(self.late, abs(after.time - start - self.times[i]))
            both = list(zip((before, after), self.facts, strict=True))
            yield Frame(
                i,
                self.index["pts"][i] - self.index["pts"][0],
                tuple(video.planes(*each) for each in both),
                *(upright(video.rgb8(*each), each[1]) for each in both),
            )
        self.found += sum(1 for _ in theirs)

    def told(self) -> dict[str, Any]:
        """How many frames there should be and are, and by how many seconds they are at most off."""
        return {"expected": len(self.times), "found": self.found, "off": round(self.late, 6)}


class Masks:
    """The label maps of all frames, those of keyframes {name: path} and those between in {block: folder}."""

    def __init__(
        self, keyframes: Mapping[str, str], between: Mapping[str, str], block: int, regions: int, size
    ) -> None:
        self.keyframes, self.between, self.block, self.regions, self.size = keyframes, between, block, regions, size

    @classmethod
    def of(cls, inputs, settings: dict, index: dict) -> "Masks":
        """Those that a job is given: its inputs `masks` and `between`."""
        keyframes = dict(zip(settings["names"], inputs.masks, strict=True))
        size = tuple(index["stream"]["upright"])
        return cls(keyframes, by_name(inputs.between), settings["block"], settings["regions"], size)

    def at(self, i: int) -> np.ndarray:
        """uint8 [H, W], 0 where A is not."""
        name, folder = f"{i:06d}", self.between.get(f"{i // self.block:04d}")
        path = self.keyframes.get(name)
        if not path and folder and f"{name}.png" in members(folder):
            path = f"{folder}/{name}.png"
        return images.read_labels(path, self.regions, self.size) if path else np.zeros(self.size[::-1], np.uint8)


class Sureness:
    """How sure the motion from a frame to its keyframes is, of the flow stage's folders {block: folder}."""

    def __init__(self, motion: list, folders: Mapping[str, str], block: int, size) -> None:
        self.motion, self.folders, self.block, self.size = [m for m in motion if m[2]], folders, block, size

    @classmethod
    def of(cls, inputs, settings: dict, index: dict) -> "Sureness":
        """That of the motion that a job is given: its inputs `flow` and `plan`."""
        motion = read_json(inputs.plan)["motion"]
        return cls(motion, by_name(inputs.flow), settings["block"], tuple(index["stream"]["upright"]))

    def at(self, i: int) -> np.ndarray | None:
        """float32 [H, W] 0..1, that of the surer keyframe; None where no motion is needed."""
        for _, (first, last), box in self.motion:
            if first <= i <= last:
                folder = Path(self.folders[f"{i // self.block:04d}"])
                whole = np.zeros(self.size[::-1], np.float32)
                whole[region(box)] = np.max(
                    [sure for _, sure in flow.read(folder / f"{i:06d}{flow.SUFFIX}", box)], axis=0
                )
                return whole
        return None


class Meter:
    """Takes frames in their order; holds the one before."""

    def __init__(self, facts: dict, masks: Masks, sureness: Sureness, rim: int) -> None:
        self.facts, self.masks, self.sureness, self.rim = facts, masks, sureness, rim
        self.series: dict[str, list[float | None]] = {name: [] for name in METRICS}
        self.method, self.last, self.comparable = flow.Dis("ultrafast"), None, True

    def take(self, frame: Frame, cut: bool) -> dict[str, np.ndarray]:
        """Measure a frame, and return the pictures that show it; cut: nothing of the last one is seen in it."""
        labels, sure = self.masks.at(frame.number), self.sureness.at(frame.number)
        mask = labels > 0
        shown = proxies.shrunk(frame.before), proxies.shrunk(frame.after)
        small = Small(
            *(proxies.shrunk(picture, proxies.SMALL) for picture in (frame.before, frame.after)),
            proxies.shrunk(labels, proxies.SMALL, cv2.INTER_NEAREST) > 0,
        )
        motion, steps = self.step(small, cut)
        self.add({"area": 100 * float(mask.mean()), "change": metrics.change(frame.before, frame.after, mask)})
        self.add(self.background(frame, mask))
        # Of a pair the first frame is told: its slot was left open.
        for name, value in steps.items():
            self.series[name][-1:] = [value, None] if self.series[name] else [None]
        self.add({"confidence": float(sure[mask].mean()) if sure is not None and mask.any() else None})
        certain = np.ones(mask.shape, np.float32) if sure is None else sure
        return {
            "source": shown[0],
            "edit": shown[1],
            "mask": proxies.region_colours(proxies.shrunk(labels, way=cv2.INTER_NEAREST)),
            "motion": proxies.motion_colours(motion),
            "confidence": proxies.sure_colours(proxies.shrunk(certain, proxies.SMALL), small.mask),
            "difference": proxies.difference_colours(*shown),
        }

    def add(self, values: Mapping[str, float | None]) -> None:
        for name, value in values.items():
            self.series[name].append(value)

    def background(self, frame: Frame, mask: np.ndarray) -> dict[str, float | None]:
        """What should not have changed."""
        weight = feather(mask, 0, self.rim + 1)
        outside = weight == 0
        told = {"background_psnr": metrics.psnr(metrics.squared_error(frame.before, frame.after, outside))}
        same_format = [[p.shape for p in each] + [each[0].dtype] for each in frame.planes]
        self.comparable = same_format[0] == same_format[1]
        stored = as_stored(weight, self.facts) == 0
        told["exactness"] = metrics.exactness(*frame.planes, stored) if self.comparable else None
        names = ("background_ssim", "blanked_psnr", "blanked_ssim")
        if frame.number % EVERY:
            return told | dict.fromkeys(names)
        both = [metrics.blanked(picture, mask) for picture in (frame.before, frame.after)]
        values = (
            metrics.ssim(frame.before, frame.after, outside),
            metrics.psnr(metrics.squared_error(*both)),
            metrics.ssim(*both),
        )
        return told | dict(zip(names, values, strict=True))

    def step(self, here: Small, cut: bool) -> tuple[np.ndarray, dict[str, float | None]]:
        """The source's motion from the last frame to this one, and what the two say together."""
        names = ("warp_error_inside", "warp_error_outside", "source_warp_error_inside", "warp_ssim", "mask_iou")
        last, self.last = self.last, here
        if last is None or cut:
            return np.zeros((*here.mask.shape, 2), np.float32), dict.fromkeys(names)
        gray = [cv2.cvtColor(each.before, cv2.COLOR_RGB2GRAY) for each in (last, here)]
        forward, backward = self.method(*gray), self.method(*gray[::-1])
        known = metrics.reached(forward, backward)
        before, after, mask = (flow.warp(each, forward) for each in (here.before, here.after, np.float32(here.mask)))
        values = (
            metrics.warp_error(last.after, after, known & last.mask),
            metrics.warp_error(last.after, after, known & ~last.mask),
            metrics.warp_error(last.before, before, known & last.mask),
            _percent(metrics.ssim(last.after, after)),
            metrics.overlap(last.mask & known, (mask > 0.5) & known),
        )
        return forward, dict(zip(names, values, strict=True))

    def told(self) -> dict[str, Any]:
        """The series, rounded, and their summaries."""
        return metrics.told(self.series) | {"same_format": self.comparable}


def _percent(value: float | None) -> float | None:
    return None if value is None else 100 * value


def contact(folder: Path, masks: Masks, keyframes: Mapping[str, str], edited: Mapping[str, str]) -> None:
    """Thumbnails <name>_<kind>.jpg of some keyframes: the source, where A is in it, and the edit."""
    names = list(keyframes)
    for n in np.unique(np.linspace(0, len(names) - 1, MOST).round().astype(int)):
        source = images.read_rgb(keyframes[names[n]])
        where = masks.at(int(names[n])) > 0
        shown = np.where(where[..., None], source, source // 5)
        for kind, picture in {"source": source, "mask": shown, "edit": images.read_rgb(edited[names[n]])}.items():
            (folder / f"{names[n]}_{kind}.jpg").write_bytes(proxies.jpeg(picture))
