"""What `bench-masks` measures in the masks environment: from words to masks on the keyframes of the demo world's clips.

python bench/measure_masks.py FIRST LAST    # seeds of the demo world; figures as JSON on the last line
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "demo")]

import numpy as np  # noqa: E402
from tqdm import tqdm  # noqa: E402

from clevam import candidates, identity, images  # noqa: E402
from clevam.candidates import Candidates, box_of  # noqa: E402
from clevam.errors import UserError  # noqa: E402
from clevam.finder import Finder  # noqa: E402
from probe import LEAST_PIXELS  # noqa: E402
from world import Scene  # noqa: E402

MODELS = ROOT / "demo" / "models"
FINDERS = [str(MODELS / name) for name in ("grounding/weights.pth", "grounding/config.json", "grounding/text")]
FINDERS += [str(MODELS / "segmentation" / "weights.pth")]
SIZE, FRAMES, EVERY = (256, 256), 96, 12
THRESHOLD = 0.3  # the configuration's default


def scene(seed: int) -> Scene:
    """Object 1 among two others, by turns behind a post, and leaving the picture and coming back."""
    return Scene.random(seed, SIZE, frames=FRAMES, objects=3, occluder=seed % 2 == 0, leaves=seed % 3 == 0)


def chosen(found: dict[str, Candidates], pictures: dict[str, np.ndarray], phrase: str) -> dict[str, np.ndarray]:
    """The mask of A on every keyframe where there is one, as the workflow chooses it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for idx, each in found.items():
            candidates.write(folder / f"{idx}.npz", each)
            images.write_png(folder / f"{idx}.png", pictures[idx])
        paths = ({idx: str(folder / f"{idx}.{end}") for idx in found} for end in ("npz", "png"))
        options = {"regions": [identity.Region(phrase, phrase, "best", 1)], "threshold": THRESHOLD}
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


def measure(seeds: range) -> dict[str, float]:
    find, overlaps, right, quiet, switches, seconds = Finder(FINDERS, "cpu"), [], [], [], 0, []
    for seed in tqdm(seeds, unit="clip"):
        clip, rng = scene(seed), np.random.default_rng([seed, 7])
        times = {f"{t:06d}": t for t in [*range(0, FRAMES, EVERY), FRAMES - 1]}
        pictures = {idx: clip.frame(t) for idx, t in times.items()}
        labels = {idx: clip.labels(t) for idx, t in times.items()}
        started = time.perf_counter()
        found = {idx: find(picture, [clip.phrases[0]]) for idx, picture in pictures.items()}
        masks = chosen(found, pictures, clip.phrases[0])
        seconds.append((time.perf_counter() - started) / len(times))
        for idx, seen in labels.items():
            if (seen == 1).sum() >= LEAST_PIXELS:
                mask = masks.get(idx, np.zeros(SIZE, bool))
                like = [identity.overlap(mask, seen == k) for k in (1, 2, 3)]
                overlaps.append(like[0])
                right.append(float(mask.any() and like[0] == max(like)))
            elif not (seen == 1).any():
                quiet.append(float(idx not in masks))
        # Told apart by nothing but looks and motion: scores say nothing here.
        truth = {idx: true_candidates(seen, rng) for idx, seen in labels.items()}
        followed = chosen(truth, pictures, clip.phrases[0])
        who = [max((1, 2, 3), key=lambda k, idx=idx: (labels[idx][mask] == k).sum()) for idx, mask in followed.items()]
        switches += sum(a != b for a, b in zip(who, who[1:], strict=False))
    return {
        "keyframes": float(np.mean(overlaps)),
        "right instance": 100 * float(np.mean(right)),
        "nothing where A is not": 100 * float(np.mean(quiet)) if quiet else float("nan"),
        "identity switches": float(switches),
        "seconds": float(np.mean(seconds)),
    }


if __name__ == "__main__":
    print(json.dumps(measure(range(int(sys.argv[1]), int(sys.argv[2])))))
