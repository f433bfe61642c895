"""Words to masks by the diffusion model itself."""

from pathlib import Path

import numpy as np
import pytest
import torch

import checkpoints
from clevam.attribution import Attribution, Heat, parts
from clevam.candidates import KEYS
from clevam.diffusion import Machine
from conftest import CHECKPOINT
from world import still

SHIPPED = Path(__file__).parents[3] / "demo" / "models" / "diffusion"


def blobs(*squares: tuple[int, int, float]) -> np.ndarray:
    """float32 [16, 24]: squares of 4 x 4 at (x, y) with a height each."""
    heat = np.zeros((16, 24), np.float32)
    for x, y, height in squares:
        heat[y : y + 4, x : x + 4] = height
    return heat


def test_the_parts_of_a_picture_are_those_that_light_up_the_brightest_first():
    gain = blobs((4, 6, 0.6), (16, 6, 0.8))
    found = parts(Heat(np.ones_like(gain), 1 - gain, gain), (96, 64))
    assert len(found) == 2
    for (_, mask), x in zip(found, (16, 4), strict=True):
        rows, columns = np.nonzero(mask)
        assert mask.shape == (64, 96)
        assert (columns.mean() / 4, rows.mean() / 4) == pytest.approx((x + 1.9, 7.9), abs=0.3)
    assert 0.8 > found[0][0] > found[1][0] > 0.2  # somewhat less than in the middle, as their rims are soft


def test_what_only_makes_the_error_larger_is_not_what_the_words_name():
    """Both squares are predicted otherwise, one of them worse."""
    gain, both = blobs((4, 6, 0.6), (16, 6, -0.8)), blobs((4, 6, 1), (16, 6, 1))
    found = parts(Heat(np.ones_like(gain), 1 - gain, both), (24, 16))
    assert len(found) == 1
    assert found[0][1][8, 6]


def test_nothing_that_lights_up_is_still_no_error():
    flat = np.ones((16, 24), np.float32)
    assert all(score < 1e-3 for score, _ in parts(Heat(flat, flat, 0 * flat), (24, 16)))


def test_candidates_are_as_large_as_the_picture_and_the_same_again():
    find, picture = Attribution(Machine(str(CHECKPOINT), "cpu", 2), 64, 16), still(900_104).picture[:100]
    found, again = (find(picture, ["the dog", "a cat"]) for _ in range(2))
    assert found.masks.shape[1:] == (100, 128)
    assert set(found.region) <= {0, 1}
    assert ((found.scores >= 0) & (found.scores <= 1)).all()
    assert all(np.array_equal(getattr(found, key), getattr(again, key)) for key in KEYS)


def test_the_shipped_painter_finds_what_words_name():
    shown = still(900_104)
    found = Attribution(Machine(str(SHIPPED), "cpu", 2), 128, 16)(shown.picture, [shown.phrases[0]])
    true = shown.labels == 1
    assert (found.masks[0] & true).sum() > 0.5 * (found.masks[0] | true).sum()
    assert found.scores[0] > 0.08  # the configuration's default


@pytest.mark.parametrize("layout", ["sd15-inpaint", "sd21", "sdxl"])
def test_other_layouts_see_too(tmp_path, layout):
    with torch.random.fork_rng():
        folder = checkpoints.write(tmp_path / "model", layout, full=False, dtype=torch.float32)
    found = Attribution(Machine(str(folder), "cpu", 2), 64, 64)(still(900_104).picture, ["the dog"])
    assert found.masks.shape[1:] == (128, 128)
