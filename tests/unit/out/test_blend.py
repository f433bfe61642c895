"""Joining pictures without a seam."""

import numpy as np
import pytest

from clevam.blend import joined


def noise(seed: int, shape: tuple = (60, 90, 4)) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, np.float32)


def halves(height: int = 60, width: int = 90) -> list[np.ndarray]:
    """All of the left half and none of the right, and the reverse."""
    left = np.zeros((height, width), np.float32)
    left[:, : width // 2] = 1
    return [left, 1 - left]


@pytest.mark.parametrize("shape", [(60, 90, 4), (37, 53, 3), (3, 2, 4), (1, 1, 4)])
def test_pictures_that_are_the_same_stay_so(shape):
    picture, weight = noise(0, shape), noise(1, shape[:2])
    found = joined([picture, picture], [weight, 1 - weight])
    assert found.dtype == np.float32
    assert np.allclose(found, picture, atol=1e-5)


def test_one_picture_is_itself():
    assert np.allclose(joined([noise(0)], [np.ones((60, 90), np.float32)]), noise(0), atol=1e-6)


def test_colours_pass_into_each_other_where_the_weights_jump():
    dark, light = np.full((60, 90, 4), 0.2, np.float32), np.full((60, 90, 4), 0.8, np.float32)
    row = joined([dark, light], halves())[30, :, 0]
    assert np.abs(np.diff(row)).max() < 0.6 / 15  # a cut is 0.6 in one pixel
    assert (np.diff(row) > -1e-6).all()
    assert np.allclose(row[[0, -1]], [0.2, 0.8], atol=0.01)


def test_detail_is_that_of_the_picture_with_the_weight():
    stripes = np.zeros((60, 90, 3), np.float32)
    stripes[:, ::2] = 1
    flat = np.full_like(stripes, 0.5)
    found = joined([stripes, flat], halves())
    assert np.abs(np.diff(found[30, :43, 0])).min() > 0.95
    assert np.abs(np.diff(found[30, 47:, 0])).max() < 0.05
