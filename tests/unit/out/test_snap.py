"""Masks drawn along the edges of the picture."""

import numpy as np
import pytest

from clevam.snap import snap

GROUND, THING = (60, 90, 40), (200, 160, 180)


def square(left: int = 10, top: int = 10, side: int = 20) -> np.ndarray:
    """A share float32 [40, 40], 1 in a square."""
    share = np.zeros((40, 40), np.float32)
    share[top : top + side, left : left + side] = 1
    return share


def picture_of(thing: np.ndarray) -> np.ndarray:
    return np.where(thing[..., None] > 0, THING, GROUND).astype(np.uint8)


def grain(height: int, width: int, span: int, seed: int = 0) -> np.ndarray:
    """Noise around gray, uint8 RGB."""
    noise = np.random.default_rng(seed).integers(-span, span + 1, (height, width, 1))
    return np.repeat(128 + noise, 3, axis=2).astype(np.uint8)


@pytest.mark.parametrize("left, top", [(10, 10), (11, 10), (9, 10), (10, 11), (10, 9)])
def test_a_mask_a_pixel_beside_the_pictures_edge_is_moved_to_it(left, top):
    (found,) = snap(picture_of(square()), square(left, top)[None])
    assert np.array_equal(found > 0.5, square() > 0)


@pytest.mark.parametrize("by", [1, -1])
def test_a_mask_a_pixel_too_large_or_too_small_fills_its_thing(by):
    (found,) = snap(picture_of(square()), square(10 - by, 10 - by, 20 + 2 * by)[None])
    for across in (found > 0.5, found.T > 0.5):
        assert np.array_equal(across[14:26], square()[14:26] > 0)  # corners, where two edges are off, are left out


def test_an_edge_is_one_of_brightness_be_the_thing_the_darker_or_the_brighter():
    dark = picture_of(1 - square())
    assert np.array_equal(snap(dark, square(11, 10)[None])[0] > 0.5, square() > 0)


@pytest.mark.parametrize("at", [7, 20, 33])
def test_where_the_picture_is_flat_a_masks_edge_stays_where_it_is(at):
    half = np.zeros((2, 40, 40), np.float32)
    half[0, :, :at], half[1, :at] = 1, 1
    found = snap(np.full((40, 40, 3), 90, np.uint8), half)
    assert np.array_equal(found > 0.5, half > 0)


def beside(left: tuple, right: tuple) -> int:
    """Where the edge of a mask comes to lie that ends at 20, in a picture of two colours that meet at 21."""
    picture, half = np.full((40, 40, 3), right, np.uint8), np.zeros((1, 40, 40), np.float32)
    picture[:, :21], half[:, :, :20] = left, 1
    (column,) = {int(row.sum()) for row in snap(picture, half)[0] > 0.5}
    return column


def test_an_edge_is_one_that_can_be_seen():
    assert beside((120, 120, 120), (160, 160, 160)) == 21
    assert beside((120, 120, 120), (126, 126, 126)) == 20


def test_an_edge_between_colours_is_one_if_their_brightness_differs():
    red, dark, darker = (255, 0, 0), (76, 76, 76), (29, 29, 29)
    assert beside(red, dark) == 20  # as bright as red
    assert beside(red, darker) == 21


def test_grain_is_no_edge():
    half = np.zeros((1, 40, 40), np.float32)
    half[:, :, :20] = 1
    assert np.array_equal(snap(grain(40, 40, 3), half) > 0.5, half > 0)


def test_an_edge_of_the_picture_far_from_the_masks_does_not_draw_it():
    half = np.zeros((1, 40, 40), np.float32)
    half[:, :, :10] = 1
    found = snap(picture_of(np.float32(np.arange(40) >= 20)[None].repeat(40, 0)), half)
    assert np.array_equal(found > 0.5, half > 0)


@pytest.mark.parametrize("share", [0, 1])
def test_what_is_everywhere_or_nowhere_stays_so(share):
    found = snap(grain(40, 50, 128), np.full((1, 40, 50), share, np.float32))
    assert np.abs(found - share).max() < 1e-3


def test_each_region_follows_its_own_edge_and_shares_that_added_up_to_1_do_so_still():
    picture = picture_of(square()) // 2
    picture[:, :5] = 255
    left = np.zeros((40, 40), np.float32)
    left[:, :6] = 1  # a pixel beyond its edge
    shares = np.stack([square(11, 10), left, 1 - square(11, 10) - left])
    found = snap(picture, shares)
    assert (found.shape, found.dtype) == ((3, 40, 40), np.float32)
    assert np.array_equal(found[0] > 0.5, square() > 0)
    assert np.array_equal(found[1] > 0.5, np.arange(40)[None].repeat(40, 0) < 5)
    assert np.abs(found.sum(0) - 1).max() < 1e-3


@pytest.mark.parametrize("height, width", [(1, 1), (1, 9), (3, 2)])
def test_a_tiny_picture_has_shares_of_its_size(height, width):
    assert snap(grain(height, width, 100), np.ones((2, height, width), np.float32)).shape == (2, height, width)
