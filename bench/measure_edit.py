"""What `bench-edit` measures in the edit environment: edits of the demo world's keyframes, with its true masks.

python bench/measure_edit.py settings FIRST LAST      # seeds of the demo world; figures as JSON on the last line
python bench/measure_edit.py sweep FIRST LAST         # the same for other values of one key
python bench/measure_edit.py presets FIRST LAST       # and for the methods of config/presets
python bench/measure_edit.py memory SEED KEYFRAMES    # peak memory of a job, in KiB
python bench/measure_edit.py picture SEED KEYFRAMES   # docs/method.png: one clip, edited in several ways
"""

import json
import os
import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from copy import deepcopy
from dataclasses import replace
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "demo")]

import cv2  # noqa: E402
import numpy as np  # noqa: E402
import yaml  # noqa: E402
from measure_painter import MODEL  # noqa: E402
from PIL import Image, ImageDraw  # noqa: E402
from tqdm import tqdm  # noqa: E402

from clevam import edit, images, plan, sampler  # noqa: E402
from clevam.diffusion import Machine  # noqa: E402
from clevam.files import read_json  # noqa: E402
from clevam.geometry import cut  # noqa: E402
from clevam.shapes import Tools  # noqa: E402
from probe import LEAST_PIXELS, find, lab, read  # noqa: E402
from things import COLOURS, SHAPES, TEXTURES, Look, with_article  # noqa: E402
from world import Scene  # noqa: E402

SIZE, FRAMES, EVERY, FEATHER = (256, 256), 72, 12, 6
KEYFRAMES = FRAMES // EVERY
SEEN = 0.8  # of the object: of one that is mostly hidden nobody could tell the shape
KINDS = {"colour": COLOURS, "texture": TEXTURES, "shape": SHAPES}
SCHEMA = read_json(ROOT / "config" / "schema.json")["$defs"]["Edit"]["properties"]
EDIT = {key: field["default"] for key, field in SCHEMA.items() if key != "preset"}
WHOLE = {"attention.isolation": "none", "attention.words": "whole"}
SETTINGS = {
    "no regions": WHOLE | {"share.reference": False},
    "regions only": {"share.reference": False},
    "sharing only": WHOLE | {"share.where": "both"},
    "both": {},
}
SWEEP = {
    "as it is": {},
    "start: inversion": {"start": "inversion"},
    "start: inversion, standardize: false": {"start": "inversion", "standardize": False},
    "guidance: 3": {"guidance": 3.0},
    "guidance: 7.5": {"guidance": 7.5},
    "steps: 10": {"steps": 10},
    "steps: 40": {"steps": 40},
    "isolation: outside_only": {"attention.isolation": "outside_only"},
    "isolation: none": {"attention.isolation": "none"},
    "window: [0, 1]": {"attention.window": [0, 1]},
    "self, words, background: official": {
        "attention.self": "official", "attention.words": "official", "background": "official",
    },
    "share.layers: up": {"share.layers": ["up"]},
    "share.adain: false": {"share.adain": False},
    "share.shift: 0.69": {"share.shift": 0.69},
    "share.window: [0, 1]": {"share.window": [0, 1]},
    "share.where: both": {"share.where": "both"},
    "share.previous: 1": {"share.previous": 1},
    "layout: grid": {"layout": "grid"},
}  # fmt: skip


def presets() -> dict[str, dict]:
    """What is different in each of config/presets."""
    changes = {}
    for path in sorted((ROOT / "config" / "presets").glob("*.yaml")):
        given = yaml.safe_load(path.read_text())
        changes[path.stem] = {key: value for key, value in given.items() if not isinstance(value, dict)}
        sections = {key: value for key, value in given.items() if isinstance(value, dict)}
        changes[path.stem] |= {f"{name}.{key}": value for name, keys in sections.items() for key, value in keys.items()}
    return changes


class Clip:
    """The keyframes of one scene with the edit that its seed asks for: another colour, texture or shape of object 1."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.kind = list(KINDS)[seed % 3]
        self.scene = Scene.random(seed, SIZE, frames=FRAMES, objects=2)
        first = self.scene.things[0]
        self.wanted = self._look(np.random.default_rng([seed, 6]), first)
        self.after = self.scene.counterfactual(1, **{self.kind: getattr(self.wanted, self.kind)})
        self.find, self.replace = f"the {first.name}", with_article(self.wanted.name)
        self.times = [t for t in range(0, FRAMES, EVERY) if self.seen(t) >= SEEN]
        loosened = Tools(loose=self.kind == "shape")
        self.inside = [loosened(self.scene.labels(t) == 1) for t in self.times]
        masks = {}
        for t, inside in zip(self.times, self.inside, strict=True):
            images.write_png(folder / f"{t:06d}.png", self.scene.frame(t))
            masks[f"{t:06d}"] = str(folder / f"mask{t:06d}.png")
            images.write_png(masks[f"{t:06d}"], np.uint8(inside))
        index = {
            "stream": {"upright": list(SIZE[::-1])},
            "segments": [[0, FRAMES - 1]],
            "keyframes": list(masks),
            "reach": {},
        }
        options = {"margin": 0.25, "flow_margin": 0.5, "rim": FEATHER, "size": 128, "multiple": 16}
        plan.write(masks, str(folder / "plan.json"), index=index, regions=1, reference="first", **options)
        crops = read_json(folder / "plan.json")["crops"]
        self.keyframes = [edit.Keyframe(str(folder / f"{n}.png"), path, crops[n]) for n, path in masks.items()]

    def seen(self, t: int) -> float:
        """Share of the object that is seen, of all of it in the picture; 0 where that is next to nothing."""
        seen, whole = (self.scene.labels(t) == 1).sum(), self.scene.mask(t, 1).sum()
        return seen / whole if seen >= LEAST_PIXELS else 0.0

    def _look(self, rng: np.random.Generator, look: Look) -> Look:
        """The same with another value of what is changed, such that it is like no other object there."""
        seen = {getattr(other, self.kind) for other in self.scene.things}
        choices = [value for value in KINDS[self.kind] if value not in seen]
        if self.kind == "colour":  # only those that can be seen on this ground
            free = {phrase.split()[1] for phrase in self.scene.absent(0)}
            choices = [value for value in choices if value in free] or choices
        return replace(look, **{self.kind: str(rng.choice(choices))})

    def judge(self, edited: list[np.ndarray]) -> dict[str, float]:
        """What of an edit's keyframes, RGB uint8 [H, W, 3], is right; every figure is a mean over them."""
        rows, colours = [], []
        for t, inside, picture in zip(self.times, self.inside, edited, strict=True):
            source, truth = self.scene.frame(t), self.after.frame(t)
            others = self.scene.labels(t) > 1
            mask = find(picture, inside & ~others)[1] if self.kind == "shape" else inside
            look = read(picture, mask, others) if mask.sum() >= LEAST_PIXELS else None
            far = cv2.distanceTransform(np.uint8(~inside), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) > 2 * FEATHER + 1
            error = np.square(picture[inside].astype(float) - truth[inside]).mean()
            rows.append(
                {
                    "success": float(look is not None and getattr(look, self.kind) == getattr(self.wanted, self.kind)),
                    "exact": float(np.array_equal(picture[far], source[far])),
                    "PSNR": 10 * np.log10(255**2 / max(error, 1e-9)),
                }
            )
            colours.append(lab(picture[inside]).mean(0))
        spread = float(np.linalg.norm(np.std(colours, axis=0)))
        return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]} | {"spread": spread}


def settings(clip: Clip, change: dict) -> dict:
    """Settings of an edit as in EDIT, but for some keys, those of a section with a dot. Another outline needs room in
    the mask, and must see what is around to paint that too: docs/masks.md."""
    options = deepcopy(EDIT)
    if clip.kind == "shape":
        options["attention"]["isolation"] = "none"
    for key, value in change.items():
        *section, name = key.split(".")
        (options[section[0]] if section else options)[name] = value
    return {
        "weights": "", "find": [clip.find], "replace": [clip.replace], "feather": FEATHER, "dtype": "auto",
        "tiling": False, "variant": None, "edit": options,
    }  # fmt: skip


class Run:
    """The edit of a clip's keyframes, the first one the reference of the others.

    edited: uint8 RGB [H, W, 3] each; around: how far the model's own crops are from the source outside the mask, before
    the source is pasted over them, in grey levels; seconds: per keyframe.
    """

    def __init__(self, clip: Clip, change: dict) -> None:
        start = time.perf_counter()
        asked = settings(clip, change)
        editor = edit.Editor(asked, Machine(str(MODEL), "cpu", 1, batch=KEYFRAMES))
        opened = [editor.open(keyframe) for keyframe in clip.keyframes]
        inverts = asked["edit"]["start"] == "inversion" or asked["edit"]["inject"]["where"] != "none"
        paths = editor.invert(opened) if inverts else None
        # Of each keyframe the attention by steps, where another one looks at it.
        kept, previous = [{} for _ in opened], asked["edit"]["share"]["previous"]
        shared = sampler.Shared(kept[0].__getitem__) if editor.shares else None
        painted = editor.paint(opened[:1], paths[:1] if inverts else None, None, kept[0].__setitem__)
        for n in range(1, len(opened), editor.at_once):
            part = slice(n, n + editor.at_once)
            links = [kept[n].__setitem__, [cache.__getitem__ for cache in kept[max(1, n - previous) : n]]]
            links = links if previous else [None]
            painted += editor.paint(opened[part], paths[part] if inverts else None, shared, *links)
        self.edited = [editor.close(one, crop) for one, crop in zip(opened, painted, strict=True)]
        self.around = float(np.mean([apart(*each) for each in zip(opened, painted, strict=True)]))
        self.seconds = (time.perf_counter() - start) / len(opened)


def apart(opened: edit.Opened, painted: np.ndarray) -> float:
    """Mean difference, in grey levels, of a painted crop from its source, away from the mask."""
    inside = cv2.resize(np.uint8(opened.inside.numpy() > 0), painted.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    outside = cv2.dilate(inside, np.ones((17, 17), np.uint8)) == 0
    return float(np.abs(painted[outside] - opened.piece[outside]).mean())


def of_clip(seed: int, changes: dict[str, dict]) -> tuple[str, dict[str, dict]]:
    """What kind of edit a clip has, and for each change of the settings how it came out."""
    with tempfile.TemporaryDirectory() as folder:
        clip, told = Clip(seed, Path(folder)), {}
        for name, change in changes.items() if len(clip.times) > 1 else []:
            run = Run(clip, change)
            told[name] = clip.judge(run.edited) | {"around": run.around, "seconds": run.seconds}
    return clip.kind, told


def measure(seeds: range, changes: dict[str, dict]) -> dict[str, float]:
    results = {name: {kind: [] for kind in KINDS} for name in changes}
    # A thread each: the bundled network is too small for more.
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        for kind, told in tqdm(pool.map(of_clip, seeds, repeat(changes)), total=len(seeds), unit="clip"):
            for name, each in told.items():
                results[name][kind].append(each)
    figures = {}
    for name, kinds in results.items():
        every = [row for rows in kinds.values() for row in rows]
        figures |= {f"{name}: {kind}": mean_of(rows, "success", 100) for kind, rows in kinds.items() if rows}
        figures[f"{name}: exact outside"] = mean_of(every, "exact", 100)
        figures[f"{name}: spread"] = mean_of(kinds["colour"] + kinds["texture"], "spread")
        figures[f"{name}: PSNR"] = mean_of(kinds["colour"], "PSNR")
        figures[f"{name}: around"] = mean_of(every, "around")
        figures[f"{name}: seconds"] = mean_of(every, "seconds")
    return figures


def picture(seed: int, count: int) -> str:
    """Draw the crops of a clip's first keyframes, above as they are, below in each way of editing; return the file."""
    inverted = {"start": "inversion"}
    shown = {"the inversion as it is": inverted | {"standardize": False}, "standardized": inverted}
    shown |= {"noise, no regions": SETTINGS["no regions"], "regions": SETTINGS["regions only"], "regions, shared": {}}
    with tempfile.TemporaryDirectory() as folder:
        clip = Clip(seed, Path(folder))
        clip.keyframes, clip.times = clip.keyframes[:count], clip.times[:count]
        boxes = [keyframe.crop["box"] for keyframe in clip.keyframes]
        rows = {f"{clip.find}": [clip.scene.frame(t) for t in clip.times]}
        rows |= {f"{clip.replace}, {name}": Run(clip, change).edited for name, change in shown.items()}
    side, title = 160, 16
    sheet = Image.new("RGB", (count * side, len(rows) * (side + title)), "white")
    pen = ImageDraw.Draw(sheet)
    for y, (name, pictures) in enumerate(rows.items()):
        pen.text((4, y * (side + title) + 2), name, "black")
        for x, (drawn, box) in enumerate(zip(pictures, boxes, strict=True)):
            crop = Image.fromarray(cut(drawn, box)).resize((side, side))
            sheet.paste(crop, (x * side, y * (side + title) + title))
    sheet.save(ROOT / "docs" / "method.png")
    return "docs/method.png"


def mean_of(rows: list[dict], name: str, scale: float = 1.0) -> float:
    return scale * float(np.mean([row[name] for row in rows])) if rows else float("nan")


def memory(seed: int, count: int) -> int:
    """Peak memory, in KiB, of the job that edits a block of `count` keyframes, in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = Clip(seed, folder)
        machine, first = Machine(str(MODEL), "cpu", 2), clip.keyframes[0]
        edited_as = settings(clip, {"steps": 2, "start": "inversion"})
        inverted_as = edited_as | {key: edited_as["edit"][key] for key in ("steps", "attention")}
        keyframes = {f"{i:06d}": clip.keyframes[i % len(clip.keyframes)] for i in range(count)}
        edit.invert(keyframes, str(folder / "inverted"), settings=inverted_as, machine=machine)
        paths = [str(folder / name) for name in ("inverted/000000.safetensors", "reference.png", "reference")]
        edit.reference(first, *paths, settings=edited_as, machine=machine)
        options = {"untouched": {}, "cache": paths[2], "settings": edited_as, "machine": machine}
        edit.block(keyframes, str(folder / "inverted"), str(folder / "block"), **options)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    asked, *numbers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    if asked in ("memory", "picture"):
        print(json.dumps({"memory": memory, "picture": picture}[asked](*numbers)))
    else:
        print(json.dumps(measure(range(*numbers), {"settings": SETTINGS, "sweep": SWEEP, "presets": presets()}[asked])))
