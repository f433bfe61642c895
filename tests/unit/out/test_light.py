"""The source's light, taken from how it differs from its keyframes."""

import numpy as np
import pytest

from clevam.light import gain

SHAPE = (60, 80)
INSIDE = np.zeros(SHAPE, np.float32)
INSIDE[10:50, 20:60] = 1


def texture(mean: float = 100) -> np.ndarray:
    return np.random.default_rng(0).uniform(0.6 * mean, 1.4 * mean, (*SHAPE, 3))


def test_the_same_light_changes_nothing():
    found = gain(texture(), texture(), INSIDE)
    assert found.shape == (*SHAPE, 1)
    assert np.allclose(found, 1)


@pytest.mark.parametrize("factor", [0.6, 0.9, 1.3])
def test_a_light_is_found_that_all_of_a_is_in(factor):
    assert np.allclose(gain(factor * texture(), texture(), INSIDE)[INSIDE > 0], factor, atol=0.03)


def test_what_is_beside_a_is_no_light_of_it():
    there = texture()
    there[INSIDE == 0] *= 2
    assert np.allclose(gain(there, texture(), INSIDE)[INSIDE > 0], 1)


def test_a_shadow_over_half_of_a_darkens_that_half():
    here = texture()
    here[:, 40:] *= 0.6
    found = gain(here, texture(), INSIDE)[..., 0]
    assert found[30, 22] > 0.9 and found[30, 57] < 0.72


def test_detail_is_no_light():
    """As where motion was wrong by some pixels: stripes upon stripes."""
    stripes = np.where(np.arange(80) % 8 < 4, 60.0, 180.0)[None, :, None] * np.ones((60, 1, 3))
    found = gain(np.roll(stripes, 4, 1), stripes, INSIDE)[INSIDE > 0]
    assert np.abs(found - 1).max() < 0.2  # of what is three times as bright, or a third


def test_it_keeps_within_twice_and_half_and_black_is_no_reason():
    assert gain(texture(200), texture(20), INSIDE).max() == 2
    assert gain(texture(20), texture(200), INSIDE)[INSIDE > 0].min() == 0.5
    black = np.zeros((*SHAPE, 3))
    assert np.allclose(gain(black, black, INSIDE), 1)
    assert gain(black + 1, black, INSIDE).max() < 1.3


def test_without_a_there_is_no_light_to_compare():
    assert np.allclose(gain(texture(50), texture(), np.zeros(SHAPE, np.float32)), 1)
