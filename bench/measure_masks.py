"""What `bench-masks` measures: from words to masks on the keyframes of the demo world's clips, and between them.

python bench/measure_masks.py words FIRST LAST        # seeds of the demo world, in the masks environment
python bench/measure_masks.py attention FIRST LAST    # in the edit environment
python bench/measure_masks.py between FIRST LAST      # in the masks environment, from true masks on keyframes
python bench/measure_masks.py switches FIRST LAST     # in either, from true masks of all objects
Figures as JSON on the last line.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "demo")]

import numpy as np  # noqa: E402
from tqdm import tqdm  # noqa: E402

from clevam import candidates, identity, images  # noqa: E402
from clevam.candidates import Candidates, box_of, overlap  # noqa: E402
from clevam.errors import UserError  # noqa: E402
from probe import LEAST_PIXELS  # noqa: E402
from world import Scene  # noqa: E402

MODELS = ROOT / "demo" / "models"
FINDERS = [str(MODELS / name) for name in ("grounding/weights.pth", "grounding/config.json", "grounding/text")]
FINDERS += [str(MODELS / "segmentation" / "weights.pth")]
SIZE, FRAMES, EVERY = (256, 256), 96, 12
THRESHOLD = {"words": 0.3, "attention": 0.4}  # the configuration's defaults
TIMES = [*range(0, FRAMES, EVERY), FRAMES - 1]


def scene(seed: int) -> Scene:
    """Object 1 among two others, by turns behind a post, and leaving the picture and coming back."""
    return Scene.random(seed, SIZE, frames=FRAMES, objects=3, occluder=seed % 2 == 0, leaves=seed % 3 == 0)


def chosen(
    found: dict[str, Candidates], pictures: dict[str, np.ndarray], phrase: str, threshold: float = 0.3
) -> dict[str, np.ndarray]:
    """The mask of A on every keyframe where there is one, as the workflow chooses it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for idx, each in found.items():
            candidates.write(folder / f"{idx}.npz", each)
            images.write_png(folder / f"{idx}.png", pictures[idx])
        paths = ({idx: str(folder / f"{idx}.{end}") for idx in found} for end in ("npz", "png"))
        options = {"regions": [identity.Region(phrase, phrase, "best", 1)], "threshold": threshold}
        try:
            identity.choose(*paths, str(folder / "m.json"), segments=[[0, FRAMES - 1]], **options)
        except UserError:  # it is on none
            return {}
        told = json.loads((folder / "m.json").read_text())["keyframes"]
    return {idx: found[idx].masks[entry["chosen"]].any(0) for idx, (entry,) in told.items() if entry["chosen"]}


def true_candidates(labels: np.ndarray, rng: np.random.Generator) -> Candidates:
    """All objects that are seen, as if each fitted the words about as well as the others."""
    masks = [labels == k for k in range(1, 4) if (labels == k).sum() >= LEAST_PIXELS]
    scores = rng.uniform(0.5, 0.9, len(masks)).astype(np.float32)
    boxes = np.array([box_of(mask) for mask in masks], np.float32).reshape(-1, 4)
    return Candidates(np.zeros(len(masks), np.int64), scores, boxes, np.array(masks).reshape(-1, *labels.shape))


def keyframes(clip: Scene) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Pictures and label maps by name."""
    return {f"{t:06d}": clip.frame(t) for t in TIMES}, {f"{t:06d}": clip.labels(t) for t in TIMES}


def by_words(method: str) -> Callable:
    if method == "words":
        from clevam.finder import Finder

        return Finder(FINDERS, "cpu")
    from clevam import weights
    from clevam.attribution import Attribution
    from clevam.diffusion import Machine

    model = MODELS / "diffusion"
    size, multiple = weights.native_size(model)
    machine = Machine(str(model), "cpu", 2)
    return Attribution(machine, size=size, multiple=multiple, dtype="float32", tiling=False, variant=None)


def measure(seeds: range, method: str) -> dict[str, float]:
    """By words: overlap with A where it is seen, whether that is A, and whether nothing is found where it is not."""
    find, overlaps, right, quiet, seconds = by_words(method), [], [], [], []
    for seed in tqdm(seeds, unit="clip"):
        clip = scene(seed)
        pictures, labels = keyframes(clip)
        started = time.perf_counter()
        found = {idx: find(picture, [clip.phrases[0]]) for idx, picture in pictures.items()}
        masks = chosen(found, pictures, clip.phrases[0], THRESHOLD[method])
        seconds.append((time.perf_counter() - started) / len(TIMES))
        for idx, seen in labels.items():
            if (seen == 1).sum() >= LEAST_PIXELS:
                mask = masks.get(idx, np.zeros(SIZE, bool))
                like = [overlap(mask, seen == k) for k in (1, 2, 3)]
                overlaps.append(like[0])
                right.append(float(mask.any() and like[0] == max(like)))
            elif not (seen == 1).any():
                quiet.append(float(idx not in masks))
    return {
        "keyframes": float(np.mean(overlaps)),
        "right instance": 100 * float(np.mean(right)),
        "nothing where A is not": 100 * float(np.mean(quiet)) if quiet else float("nan"),
        "seconds": float(np.mean(seconds)),
    }


def switches(seeds: range) -> dict[str, float]:
    """Told apart by nothing but looks and motion: scores say nothing here."""
    count = 0
    for seed in tqdm(seeds, unit="clip"):
        clip, rng = scene(seed), np.random.default_rng([seed, 7])
        pictures, labels = keyframes(clip)
        truth = {idx: true_candidates(seen, rng) for idx, seen in labels.items()}
        followed = chosen(truth, pictures, clip.phrases[0])
        who = [max((1, 2, 3), key=lambda k, idx=idx: (labels[idx][mask] == k).sum()) for idx, mask in followed.items()]
        count += sum(a != b for a, b in pairwise(who))
    return {"identity switches": float(count)}


def between(seeds: range) -> dict[str, float]:
    """Overlap of the carried and the segmented masks with A on frames between keyframes, and seconds for each."""
    import cv2

    from clevam import carry, flow, plan
    from clevam.geometry import bounding, cut
    from clevam.outline import Outline
    from clevam.shapes import Tools
    from clevam.snap import snap

    ways, look = {"flow": snap, "segment": Outline(FINDERS[-1], "cpu", [], Tools())}, flow.Dis("medium")
    overlaps, seconds = {way: [] for way in ways}, {way: [] for way in ways}
    folder = tempfile.TemporaryDirectory()
    motion = Path(folder.name) / "motion"
    for seed in tqdm(seeds, unit="clip"):
        clip = scene(seed)
        for a, b in pairwise(TIMES):
            true = {t: clip.labels(t) == 1 for t in range(a, b + 1)}
            box = plan.room(bounding(true[a]), bounding(true[b]), 0.25, SIZE[::-1])  # the configuration's default
            if box is None:
                continue
            pictures = [cut(clip.frame(t), box) for t in range(a, b + 1)]
            gray = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in pictures]
            gray = [flow.thinned(picture, look.step) for picture in gray]
            ends = [carry.shares(true[k], 1) for k in (a, b)]
            for t, *found in zip(range(a + 1, b), *flow.between(gray, look), strict=True):
                flow.write(motion, *found, step=look.step)
                shares = carry.carried(ends, flow.weighed(flow.read(motion, box), t, a, b), box)
                for way, refine in ways.items():
                    started = time.perf_counter()
                    found = carry.drawn(refine(pictures[t - a], shares)) == 1
                    seconds[way].append(time.perf_counter() - started)
                    if true[t].sum() >= LEAST_PIXELS:
                        both = (found & cut(true[t], box)).sum()
                        overlaps[way].append(both / (found.sum() + true[t].sum() - both))
    figures = {f"between, {way}": float(np.mean(values)) for way, values in overlaps.items()}
    return figures | {f"seconds, {way}": float(np.mean(values)) for way, values in seconds.items()}


if __name__ == "__main__":
    asked, *seeds = sys.argv[1], *map(int, sys.argv[2:])
    measured = {"between": between, "switches": switches}.get(asked) or (lambda seeds: measure(seeds, asked))
    print(json.dumps(measured(range(*seeds))))
