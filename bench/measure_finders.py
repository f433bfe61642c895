"""What `bench-models` measures in the masks environment: words to boxes, boxes to masks, words to masks.

python bench/measure_finders.py FIRST LAST    # seeds of the demo world; figures as JSON on the last line
"""

import json
import os
import sys
import time
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "demo")]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from torchvision.ops import box_iou  # noqa: E402
from tqdm import tqdm  # noqa: E402

from clevam.detector import Detector  # noqa: E402
from clevam.segmenter import Segmenter  # noqa: E402
from probe import LEAST_PIXELS  # noqa: E402
from world import Scene, still  # noqa: E402

MODELS = ROOT / "demo" / "models"
SIZES = ((128, 128), (360, 640))  # by turns
THRESHOLD = 0.3  # the configuration's default


def absent(scene: Scene, seed: int) -> str:
    """A phrase that fits nothing there; by turns it shares nothing, one word or two with the most similar object."""
    phrases = scene.absent(seed % 3) or scene.absent(1)
    return phrases[int(np.random.default_rng([seed, 5]).integers(len(phrases)))]


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / max(1, (a | b).sum()))


def measure(seeds: range) -> dict[str, float]:
    cpu, started = torch.device("cpu"), time.perf_counter()
    detect = Detector(*(str(MODELS / "grounding" / name) for name in ("weights.pth", "config.json", "text")), cpu)
    loaded = time.perf_counter()
    segment = Segmenter(str(MODELS / "segmentation" / "weights.pth"), cpu)
    loading = {"detector loads": loaded - started, "segmenter loads": time.perf_counter() - loaded}
    first, nothing, from_box, from_words = [], [], [], []
    for seed in tqdm(seeds, unit="scene", desc="finding"):
        picture, labels, boxes, _, phrases, scene = still(seed, SIZES[seed % 2])
        seen = [k for k in range(1, len(phrases) + 1) if (labels == k).sum() >= LEAST_PIXELS]
        for k in seen:
            mask, box = labels == k, boxes[k - 1].tolist()
            from_box.append(overlap(segment(picture, [box])[0], mask))
            if len(phrases) >= 2:  # alone, any name would find it
                found, (scores,) = detect(picture, [phrases[k - 1]])
                best = found[scores.argmax()]
                first.append(float(box_iou(best[None], torch.tensor([box], dtype=torch.float)) >= 0.5))
                there = scores.max() >= THRESHOLD
                from_words.append(overlap(segment(picture, [best.tolist()])[0], mask) if there else 0.0)
        _, (scores,) = detect(picture, [absent(scene, seed)])
        nothing.append(float(scores.max() < THRESHOLD))
    return loading | {
        "named object first": 100 * float(np.mean(first)),
        "nothing found of absent objects": 100 * float(np.mean(nothing)),
        "mask from the true box": float(np.mean(from_box)),
        "mask from words": float(np.mean(from_words)),
    }


if __name__ == "__main__":
    print(json.dumps(measure(range(int(sys.argv[1]), int(sys.argv[2])))))
