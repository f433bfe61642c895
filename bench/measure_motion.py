"""What `bench-motion` measures in the environment of `out`: how well edited keyframes reach the frames between them.

python bench/measure_motion.py demo FIRST LAST    # seeds of the demo world; figures as JSON on the last line
python bench/measure_motion.py clip PATH          # a real clip, beside simpler ways
python bench/measure_motion.py adaptive PATH      # adaptive keyframes beside as many that are evenly spaced
python bench/measure_motion.py adaptive SEED      # the same on a clip of the demo world
python bench/measure_motion.py speed SECONDS      # time, disk and memory at 1280 x 720
python bench/measure_motion.py memory FRAMES
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "demo")]

import av  # noqa: E402
import cv2  # noqa: E402
import imageio_ffmpeg  # noqa: E402
import numpy as np  # noqa: E402
from tqdm import tqdm  # noqa: E402

from clevam import carry, flow, images, plan, propagate, video  # noqa: E402
from clevam.adaptive import Adaptive  # noqa: E402
from clevam.blend import joined  # noqa: E402
from clevam.geometry import bounding, cut, feather  # noqa: E402
from clevam.join import join  # noqa: E402
from clevam.orientation import upright, upright_size  # noqa: E402
from clevam.snap import snap  # noqa: E402
from film import write_clip  # noqa: E402
from world import Scene  # noqa: E402

EVERY, SIZE, FRAMES = 12, (256, 256), 49
DIFFERENT = 60  # grey levels in all, of two colours that can be told apart: what is white stays so
RIM, BLOCK, MARGIN, UNREACHED = 6, 48, 0.25, 0.6  # the configuration's defaults
ENCODE = {"codec": "libx264", "crf": 18.0, "preset": "medium", "lossless": False, "pix_fmt": None, "extra": {}}


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return 10 * float(np.log10(255**2 / max(np.mean((a.astype(np.float32) - b) ** 2), 1e-9)))


def keyframes(frames: int) -> list[int]:
    return sorted({*range(0, frames, EVERY), frames - 1})


class Made(Mapping):
    """{frame: picture}, each made when it is asked for."""

    def __init__(self, frames: list[int], make: Callable[[int], np.ndarray]) -> None:
        self.frames, self.make = frames, make

    def __getitem__(self, frame: int) -> np.ndarray:
        return self.make(frame)

    def __iter__(self) -> Iterator[int]:
        return iter(self.frames)

    def __len__(self) -> int:
        return len(self.frames)


class Job:
    """A clip on disk with true masks, its source frames or others taken for edited keyframes, as the stages see it."""

    def __init__(
        self, folder: Path, path: Path, masks: Mapping[int, np.ndarray], edited: Mapping[int, np.ndarray]
    ) -> None:
        """masks: bool [H, W] of the keyframes, or of more; edited: uint8 RGB of the keyframes, in the order of time."""
        self.folder, self.path = folder, path
        facts = video.probe(path)
        size = upright_size(facts)
        pts = [frame.pts for _, frame in video.frames(path)]
        self.index = {"stream": facts | {"upright": list(size)}, "pts": pts, "damage": None}
        boxes = {f"{k:06d}": bounding(masks[k]) for k in edited}
        self.motion = plan.gaps(boxes, max(edited), {}, MARGIN, size)
        self.plan = {"regions": 1, "motion": self.motion}
        self.edited, self.masks = {}, {}
        for k in edited:
            for kind, pixels, paths in (
                ("edited", edited[k], self.edited),
                ("masks", np.uint8(255 * masks[k]), self.masks),
            ):
                paths[f"{k:06d}"] = str(folder / kind / f"{k:06d}.png")
                images.write_png(paths[f"{k:06d}"], pixels)
        self.blocks = {f"{n:04d}": [n * BLOCK, n * BLOCK + BLOCK - 1] for n in range(-(-len(pts) // BLOCK))}

    def flow(self, jobs: int = 1) -> None:
        """jobs: blocks at a time, as Snakemake runs them."""
        if jobs > 1:
            with ProcessPoolExecutor(jobs) as pool:
                list(pool.map(self.flow_of, self.blocks))
        else:
            for name in self.blocks:
                self.flow_of(name)

    def flow_of(self, name: str) -> None:
        cv2.setNumThreads(1)  # as the rule has
        options = {
            "index": self.index,
            "motion": self.motion,
            "frames": self.blocks[name],
            "method": flow.Dis("medium"),
        }
        flow.measure(str(self.path), str(self.folder / "flow" / name), **options)

    def carry(self) -> None:
        for name, frames in self.blocks.items():
            options = {"index": self.index, "plan": self.plan, "masks": self.masks, "frames": frames, "refine": snap}
            flows = str(self.folder / "flow" / name)
            carry.write(str(self.path), str(self.folder / "between" / name), flows=flows, **options)

    def out(self, encode: dict = ENCODE) -> Path:
        target = self.folder / "out.nut"
        folders = {kind: {name: str(self.folder / kind / name) for name in self.blocks} for kind in ("between", "flow")}
        propagate.render(
            str(self.path), str(target), index=self.index, frames=[0, len(self.index["pts"]) - 1], plan=self.plan,
            edited=self.edited, masks=self.masks, between=folders["between"], flows=folders["flow"], block=BLOCK,
            rim=RIM, encode=encode,
        )  # fmt: skip
        return target

    def film(self) -> None:
        """All that `out` does: the stretch, and what is joined to it."""
        join([str(self.out())], str(self.folder / "out.mp4"), source=str(self.path), index=self.index)


def rebuilt(pictures: list[np.ndarray], folder: Path, alone: bool = False) -> list[np.ndarray]:
    """All but the outer two of some pictures, made from these alone and the motion between, through flow files.

    alone: all but the first, from that one.
    """
    gray, result = [cv2.cvtColor(p, cv2.COLOR_RGB2GRAY) for p in pictures], []
    box, ends = [0, 0, *gray[0].shape[::-1]], [0] if alone else [0, len(pictures) - 1]
    measure, look = flow.after if alone else flow.between, flow.Dis("medium")
    gray = [flow.thinned(picture, look.step) for picture in gray]
    for i, found in enumerate(zip(*measure(gray, look), strict=True), 1):
        flow.write(folder / "motion.npy.gz", *found, step=look.step)
        ways, weights = zip(*flow.weighed(flow.read(folder / "motion.npy.gz", box), i, *ends), strict=True)
        carried = [flow.warp(np.float32(pictures[end]), way) for end, way in zip(ends, ways, strict=True)]
        result.append(np.clip(np.rint(joined(carried, weights)), 0, 255))
    return result


def demo(seeds: range) -> dict[str, float]:
    """Source frames as if they were edited, inside of the object; masks; and colour edits at the rim."""
    inside, overlaps, rim, bytes_ = [], [], [], []
    for seed in tqdm(seeds, unit="clip"):
        scene = Scene.random(seed, SIZE, frames=FRAMES)
        masks = {t: scene.labels(t) == 1 for t in range(FRAMES)}
        other = "blue" if scene.things[0].colour != "blue" else "yellow"
        wanted = scene.counterfactual(1, colour=other)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_clip(scene, folder / "clip.mp4", crf=4)
            job = Job(folder, folder / "clip.mp4", masks, {k: wanted.frame(k) for k in keyframes(FRAMES)})
            job.flow()
            job.carry()
            files = list((folder / "flow").rglob(f"*{flow.SUFFIX}"))
            area = {i: box[2] * box[3] for _, (a, b), box in job.motion if box for i in range(a, b + 1)}
            bytes_ += [path.stat().st_size / (2 * area[int(path.name.removesuffix(flow.SUFFIX))]) for path in files]
            shown = frames(job.out(ENCODE | {"lossless": True}))
            for (a, b), _, box in (each for each in job.motion if each[2]):
                pictures = [cut(scene.frame(t), box) for t in range(a, b + 1)]
                for t, picture in zip(range(a + 1, b), rebuilt(pictures, folder), strict=True):
                    true = cut(masks[t], box)
                    if true.sum() < 64:
                        continue
                    inside.append(psnr(pictures[t - a][true], picture[true]))
                    path = folder / "between" / f"{t // BLOCK:04d}" / f"{t:06d}.png"
                    found = images.read_labels(path, 1) > 0 if path.exists() else np.zeros(SIZE, bool)
                    overlaps.append((found & masks[t]).sum() / (found | masks[t]).sum())
                    rim.append(old_at_rim(shown[t], masks[t], scene.frame(t), wanted.frame(t)))
    return {
        "inside": float(np.mean(inside)),
        "masks": float(np.mean(overlaps)),
        "rim": 100 * float(np.mean(rim)),
        "bytes": float(np.mean(bytes_)),
    }


def old_at_rim(shown: np.ndarray, mask: np.ndarray, old: np.ndarray, new: np.ndarray) -> float:
    """The share of pixels as far as 2 inside of the outline that are nearer to the old colour, where the two differ."""
    at = (feather(~mask, 0, 3) > 0) & mask & (np.abs(old - np.float32(new)).sum(-1) > DIFFERENT)
    to_old, to_new = (np.abs(shown[at] - np.float32(picture)[at]).sum(-1) for picture in (old, new))
    return float((to_old < to_new).mean()) if at.any() else 0.0


def frames(path: Path, most: int | None = None) -> list[np.ndarray]:
    """Upright uint8 RGB of a clip's frames."""
    facts, result = video.probe(path), []
    for i, frame in video.frames(path):
        if i == most:
            break
        result.append(upright(video.rgb8(frame, facts), facts))
    return result


def clip(path: Path) -> dict[str, float]:
    """Whole frames of a real clip rebuilt from every 12th, in four ways."""
    pictures, found = frames(path, FRAMES), {"ours": [], "sketch": [], "blending": [], "minterpolate": []}
    keys = keyframes(len(pictures))
    smooth = minterpolate([pictures[k] for k in keys], keys)
    with tempfile.TemporaryDirectory() as folder:
        for a, b in tqdm(list(pairwise(keys)), desc=path.stem, unit="interval"):
            part = pictures[a : b + 1]
            ways = {"ours": rebuilt(part, Path(folder)), "sketch": sketched(part)}
            ways["blending"] = [part[0] + (t / (b - a)) * (part[-1] - np.float32(part[0])) for t in range(1, b - a)]
            ways["minterpolate"] = [smooth.get(t) for t in range(a + 1, b)]
            for way, made in ways.items():
                found[way] += [psnr(p, q) for p, q in zip(part[1:-1], made, strict=True) if q is not None]
    return {way: float(np.mean(values)) for way, values in found.items()}


def adaptive(path: Path) -> dict[str, float]:
    """Whole frames of a clip without cuts, rebuilt from adaptive keyframes and from as many evenly spaced ones.

    `mean`, and `worst`, that of the tenth of the frames that come out worst; `keyframes`, how many there are.
    """
    pictures, facts, found = frames(path, FRAMES), video.probe(path), Adaptive(UNREACHED, None)
    for i, frame in video.frames(path):
        if i < len(pictures):
            found.see(i, frame, facts, False)
    last = len(pictures) - 1
    chosen = sorted({*found.reach, last}) if len(found.reach) > 1 else [0]  # as keyframes.choose does
    spaced = [round(k) for k in np.linspace(0, last, len(chosen))]
    result = {"keyframes": float(len(chosen))}
    for name, keys in {"adaptive": chosen, "spaced": spaced}.items():
        values = np.sort(values_between(pictures, keys))
        result |= {
            f"{name}, mean": float(values.mean()),
            f"{name}, worst": float(values[: len(values) // 10 + 1].mean()),
        }
    return result


def values_between(pictures: list[np.ndarray], keys: list[int]) -> list[float]:
    """PSNR of all frames that are no keyframes; those after a single one come from it."""
    result = []
    with tempfile.TemporaryDirectory() as folder:
        for a, b in tqdm([*pairwise(keys)] or [(0, len(pictures) - 1)], unit="gap"):
            made = rebuilt(pictures[a : b + 1], Path(folder), alone=len(keys) == 1)
            result += [psnr(p, q) for p, q in zip(pictures[a + 1 :], made, strict=False)]
    return result


def adaptive_scene(seed: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        write_clip(Scene.random(seed, SIZE, frames=FRAMES), Path(folder) / "clip.mp4", crf=4)
        return adaptive(Path(folder) / "clip.mp4")


def sketched(pictures: list[np.ndarray]) -> list[np.ndarray]:
    """Dense inverse search straight from each end, weighted by forward-backward error and distance."""
    gray, last = [cv2.cvtColor(p, cv2.COLOR_RGB2GRAY) for p in pictures], len(pictures) - 1
    look, result = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM), []
    for i in range(1, last):
        total, weights = 0.0, 0.0
        for k, near in ((0, last - i), (last, i)):
            way = look.calc(gray[i], gray[k], None)
            error = np.linalg.norm(flow.then(way, look.calc(gray[k], gray[i], None)), axis=-1)
            weight = near / (0.5 + error)
            total = total + weight[..., None] * flow.warp(np.float32(pictures[k]), way)
            weights = weights + weight
        result.append(np.clip(np.rint(total / weights[..., None]), 0, 255))
    return result


def minterpolate(pictures: list[np.ndarray], times: list[int]) -> dict[int, np.ndarray]:
    """ffmpeg's own motion-compensated interpolation, {time: picture}."""
    graph, (height, width) = av.filter.Graph(), pictures[0].shape[:2]
    nodes = [
        graph.add_buffer(width=width, height=height, format="rgb24", time_base="1/1"),
        graph.add("minterpolate", "fps=1:mi_mode=mci"),
        graph.add("buffersink"),
    ]
    for one, two in pairwise(nodes):
        one.link_to(two)
    graph.configure()
    # It looks at a frame before and one after the two that it works between.
    padded = [(times[0] - EVERY, pictures[0]), *zip(times, pictures, strict=True)]
    padded += [(times[-1] + EVERY * n, pictures[-1]) for n in (1, 2)]
    result = {}
    for t, picture in padded:
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
        frame.pts, frame.time_base = t + EVERY, 1
        graph.push(frame)
        while True:
            try:
                made = graph.pull()
            except (av.BlockingIOError, av.EOFError):
                break
            result[made.pts - EVERY] = made.to_ndarray(format="rgb24")
    return result


def large(folder: Path, seconds: int) -> Job:
    """A clip of 1280 x 720 with an object of about a tenth of the picture, and its colours as if edited."""
    scene = Scene.random(900_200, (720, 1280), frames=24 * seconds, diameter=(0.42, 0.42))
    path = folder / "clip.mp4"
    write_clip(scene, path)
    masks = {k: scene.labels(k) == 1 for k in keyframes(scene.frames)}
    return Job(folder, path, masks, {k: scene.frame(k)[..., ::-1] for k in masks})


def speed(seconds: int) -> dict[str, float]:
    """Times of the stages, each over that of ffmpeg alone with the same encoder settings; bytes of motion."""
    with tempfile.TemporaryDirectory() as name:
        job = large(Path(name), seconds)
        plain = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-i", str(job.path), "-c:v", "libx264"]
        plain += ["-crf", "18", "-preset", "medium", "-c:a", "copy", str(job.folder / "plain.mp4")]
        times = {
            "plain": timed(lambda: subprocess.run(plain, check=True)),
            "flow": timed(lambda: job.flow(jobs=2)),
            "carry": timed(job.carry),
            "out": timed(job.film),
        }
        share = float(np.mean([(images.read_labels(path, 1) > 0).mean() for path in job.masks.values()]))
    return {stage: seconds / times["plain"] for stage, seconds in times.items()} | {"share": share, "s": times["plain"]}


def timed(run) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def memory(count: int) -> float:
    """MiB of a whole run over so many frames of 320 x 180; the clip is drawn by another process."""
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(1, get_context("spawn")) as pool:
        job = pool.submit(long, Path(folder), count).result()
        for run in (job.flow, job.carry, job.out):
            run()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def long(folder: Path, count: int) -> Job:
    scene = Scene.random(900_200, (180, 320), frames=count)
    write_clip(scene, folder / "clip.mp4")
    keys = sorted({*range(0, count, 48), count - 1})
    masks, pictures = Made(keys, lambda k: scene.labels(k) == 1), Made(keys, scene.frame)
    return Job(folder, folder / "clip.mp4", masks, pictures)


if __name__ == "__main__":
    asked, *given = sys.argv[1:]
    measured = {
        "demo": lambda: demo(range(*map(int, given))),
        "clip": lambda: clip(Path(given[0])),
        "adaptive": lambda: adaptive_scene(int(given[0])) if given[0].isdigit() else adaptive(Path(given[0])),
        "speed": lambda: speed(int(given[0])),
        "memory": lambda: memory(int(given[0])),
    }[asked]()
    print(json.dumps(measured))
