"""The finders that are shipped in demo/models find what words name, in scenes that they have not seen."""

from pathlib import Path

import numpy as np
import pytest
import torch

from clevam.detector import Detector
from clevam.segmenter import Segmenter
from world import still

MODELS = Path(__file__).parents[3] / "demo" / "models"
SCENES = [shown for seed in range(900_400, 900_424) if len((shown := still(seed)).phrases) == 2]


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(*(str(MODELS / "grounding" / name) for name in ("weights.pth", "config.json", "text")), "cpu")


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return Segmenter(str(MODELS / "segmentation/weights.pth"), torch.device("cpu"))


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return (a & b).sum() / (a | b).sum()


def test_the_named_object_is_found_first(detector, segmenter):
    right = []
    for picture, labels, _, _, phrases, _ in SCENES:
        for k, phrase in enumerate(phrases, 1):
            boxes, (scores,) = detector(picture, [phrase])
            mask = segmenter(picture, [boxes[scores.argmax()].tolist()])[0]
            right.append(overlap(mask, labels == k) > 0.5)
    assert len(right) >= 10
    assert np.mean(right) > 0.6


def test_a_box_is_filled_with_what_is_in_it(segmenter):
    found = [
        overlap(segmenter(shown.picture, [shown.boxes[k].tolist()])[0], shown.labels == k + 1)
        for shown in SCENES
        for k in range(2)
    ]
    assert np.mean(found) > 0.9
