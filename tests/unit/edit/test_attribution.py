"""Words to masks by the diffusion model itself."""

from pathlib import Path

import numpy as np
import pytest
import torch

import checkpoints
from clevam.attribution import Attribution, Heat, parts, standing_out
from clevam.candidates import KEYS, overlap
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


def painted(*squares: tuple[int, int], size: tuple[int, int] = (24, 16)) -> np.ndarray:
    """uint8 RGB of `size` cells of 4 pixels: squares of 6 x 6 cells, of which a heat sees the middle, on dark green."""
    width, height = size
    picture = np.full((4 * height, 4 * width, 3), (20, 60, 20), np.uint8)
    for x, y in squares:
        picture[4 * y - 4 : 4 * y + 20, 4 * x - 4 : 4 * x + 20] = (200, 40, 60)
    return picture


def true(x: int, y: int, picture: np.ndarray) -> np.ndarray:
    mask = np.zeros(picture.shape[:2], bool)
    mask[4 * y - 4 : 4 * y + 20, 4 * x - 4 : 4 * x + 20] = True
    return mask


def test_the_things_of_a_picture_that_light_up_are_cut_out_whole_the_one_that_stands_out_first():
    gain, picture = blobs((4, 6, 0.6), (16, 6, 0.8)), painted((4, 6), (16, 6))
    (first, one), (second, other), *_ = parts(Heat(np.ones_like(gain), 1 - gain, gain), picture)
    assert overlap(one, true(16, 6, picture)) > 0.9
    assert overlap(other, true(4, 6, picture)) > 0.9
    assert first > second > 0.4  # the configuration's default


def test_of_two_as_bright_the_larger_stands_out_more():
    light = blobs((4, 6, 1), (16, 6, 1), (16, 2, 1))
    one, two = np.zeros((2, *light.shape), bool)
    one[6:10, 4:8] = two[2:10, 16:20] = True
    assert standing_out(light, two) > standing_out(light, one) > 0.4
    assert standing_out(light, one | two) == pytest.approx(1)
    assert standing_out(light, ~one & ~two) == 0


@pytest.mark.parametrize("factor", [1, 6])
def test_masks_are_as_large_as_the_picture(factor):
    gain, picture = blobs((4, 6, 0.6)), painted((4, 6))
    large = picture.repeat(factor, 0).repeat(factor, 1)
    (_, mask), *_ = parts(Heat(np.ones_like(gain), 1 - gain, gain), large)
    assert overlap(mask, true(4, 6, picture).repeat(factor, 0).repeat(factor, 1)) > 0.95


def test_where_colours_tell_nothing_the_bright_part_is_taken():
    gain = blobs((4, 6, 0.6))
    (_, mask), *_ = parts(Heat(np.ones_like(gain), 1 - gain, gain), np.zeros((64, 96, 3), np.uint8))
    rows, columns = np.nonzero(mask)
    assert (columns.mean() / 4, rows.mean() / 4) == pytest.approx((5.9, 7.9), abs=0.3)


def test_what_only_makes_the_error_larger_is_not_what_the_words_name():
    """Both squares are predicted otherwise, one of them worse."""
    gain, both = blobs((4, 6, 0.6), (16, 6, -0.8)), blobs((4, 6, 1), (16, 6, 1))
    (_, mask), *_ = parts(Heat(np.ones_like(gain), 1 - gain, both), painted((4, 6), (16, 6)))
    assert mask[32, 24]


def test_nothing_that_lights_up_is_still_no_error():
    flat = np.ones((16, 24), np.float32)
    assert parts(Heat(flat, flat, 0 * flat), painted()) == []


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
    assert overlap(found.masks[0], shown.labels == 1) > 0.8
    assert found.scores[0] > 0.4  # the configuration's default


@pytest.mark.parametrize("layout", ["sd15-inpaint", "sd21", "sdxl"])
def test_other_layouts_see_too(tmp_path, layout):
    with torch.random.fork_rng():
        folder = checkpoints.write(tmp_path / "model", layout, full=False, dtype=torch.float32)
    found = Attribution(Machine(str(folder), "cpu", 2), 64, 64)(still(900_104).picture, ["the dog"])
    assert found.masks.shape[1:] == (128, 128)
