"""What `bench-models` measures in the edit environment: the VAE and the pictures that are drawn of words.

python bench/measure_painter.py FIRST LAST    # seeds of the demo world; figures as JSON on the last line
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
from diffusers import StableDiffusionPipeline  # noqa: E402
from tqdm import tqdm  # noqa: E402

from probe import judge  # noqa: E402
from train_vae import quality  # noqa: E402
from world import Scene  # noqa: E402

MODEL = ROOT / "demo" / "models" / "diffusion"
SIDE, STEPS, GUIDANCE, BATCH = 128, 30, 4.0, 20


def scene(seed: int) -> Scene:
    """One object of 30 to 65 % of the side, as an edit sees it in its crop."""
    share = np.random.default_rng([seed, 4]).uniform(0.3, 0.65)
    return Scene.random(seed, (SIDE, SIDE), frames=1, objects=1, diameter=(share, share + 0.01), camera=False)


def mean(answers: list[dict[str, bool]]) -> dict[str, float]:
    """Per cent of each answer."""
    return {name: 100 * float(np.mean([each[name] for each in answers])) for name in answers[0]}


def measure(seeds: range) -> dict[str, float]:
    start = time.perf_counter()
    pipeline = StableDiffusionPipeline.from_pretrained(MODEL)
    figures = {"painter loads": time.perf_counter() - start}
    pipeline.set_progress_bar_config(disable=True)
    figures["VAE"], _ = quality(pipeline.vae, seeds)
    scenes = [scene(seed) for seed in seeds]
    truth = [(each.things[0], each.shots[0].kind) for each in scenes]
    true = [judge(each.frame(0), *answer) for each, answer in zip(scenes, truth, strict=True)]
    figures |= {f"probe on true pictures, {name}": share for name, share in mean(true).items()}
    drawn = []
    for first in tqdm(range(0, len(scenes), BATCH), unit="batch", desc="drawing"):
        noise = [torch.Generator().manual_seed(seed) for seed in seeds[first : first + BATCH]]
        captions = [each.caption for each in scenes[first : first + BATCH]]
        options = {"num_inference_steps": STEPS, "guidance_scale": GUIDANCE, "generator": noise}
        drawn += pipeline(captions, height=SIDE, width=SIDE, **options).images
    right = [judge(np.array(image), *answer) for image, answer in zip(drawn, truth, strict=True)]
    return figures | {f"drawn {name}": share for name, share in mean(right).items()}


if __name__ == "__main__":
    print(json.dumps(measure(range(int(sys.argv[1]), int(sys.argv[2])))))
