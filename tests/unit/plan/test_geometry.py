"""geometry.py: boxes [x, y, width, height] and soft rims."""

import numpy as np
import pytest

from clevam import geometry
from clevam.geometry import bounding, centred, cut, feather, grow, paste, union, within

GRID = np.arange(12).reshape(3, 4)  # rows 0 1 2 3 / 4 5 6 7 / 8 9 10 11


def mask_of(*pixels: tuple[int, int], size: tuple[int, int] = (5, 7)) -> np.ndarray:
    """bool [H, W] with the pixels (row, column) set."""
    mask = np.zeros(size, bool)
    mask[tuple(zip(*pixels, strict=True))] = True
    return mask


# ---- boxes -----------------------------------------------------------------------------------------------------


def test_bounding_is_the_tightest_box():
    assert bounding(mask_of((1, 2), (3, 5))) == [2, 1, 4, 3]
    assert bounding(mask_of((4, 6))) == [6, 4, 1, 1]


def test_bounding_of_an_empty_mask_is_none():
    assert bounding(np.zeros((5, 7), bool)) is None


def test_bounding_holds_plain_numbers_for_json():
    assert {type(side) for side in bounding(mask_of((1, 2)))} == {int}


@pytest.mark.parametrize(
    ("a", "b", "both"),
    [
        ([0, 0, 2, 2], [5, 1, 1, 6], [0, 0, 6, 7]),
        ([0, 0, 9, 9], [2, 3, 1, 1], [0, 0, 9, 9]),
        ([-4, 2, 3, 3], [1, 1, 1, 1], [-4, 1, 6, 4]),
        (None, [1, 2, 3, 4], [1, 2, 3, 4]),
        ([1, 2, 3, 4], None, [1, 2, 3, 4]),
        (None, None, None),
    ],
)
def test_union_is_the_smallest_box_around_both(a, b, both):
    assert union(a, b) == both


@pytest.mark.parametrize(
    ("box", "by", "grown"),
    [
        ([20, 10, 4, 6], 3, [17, 7, 10, 12]),
        ([1, 2, 4, 6], 3, [0, 0, 8, 11]),
        ([60, 40, 4, 8], 3, [57, 37, 7, 11]),
        ([20, 10, 4, 6], 99, [0, 0, 64, 48]),
    ],
)
def test_grow_adds_to_every_side_and_stays_in_the_picture(box, by, grown):
    assert grow(box, by, (64, 48)) == grown


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (10, 8, [17, 9, 10, 8]),  # around the centre (22, 13)
        (40, 8, [2, 9, 40, 8]),
        (50, 30, [0, 0, 50, 30]),  # pushed back in at the left and the top
        (70, 8, [-3, 9, 70, 8]),  # wider than the picture: as much beyond on both sides
        (70, 60, [-3, -6, 70, 60]),
    ],
)
def test_centred_moves_into_the_picture_where_it_fits(width, height, expected):
    assert centred([20, 10, 4, 6], width, height, (64, 48)) == expected


def test_centred_is_pushed_back_in_at_the_right_and_the_bottom():
    assert centred([60, 44, 4, 4], 20, 10, (64, 48)) == [44, 38, 20, 10]


def test_within_is_the_part_inside_the_picture():
    assert within([-3, 40, 10, 20], (64, 48)) == [0, 40, 7, 8]


def test_region_selects_the_pixels_of_a_box():
    assert GRID[geometry.region([1, 0, 2, 3])].tolist() == [[1, 2], [5, 6], [9, 10]]


# ---- cut -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ([1, 1, 2, 2], [[5, 6], [9, 10]]),
        ([-2, 0, 6, 1], [[2, 1, 0, 1, 2, 3]]),
        ([1, 0, 5, 1], [[1, 2, 3, 2, 1]]),
        ([0, -1, 1, 5], [[4], [0], [4], [8], [4]]),
        ([-1, -1, 3, 2], [[1, 0, 1], [1, 0, 1]]),
        ([0, 0, 10, 1], [[0, 1, 2, 3, 2, 1, 0, 1, 2, 3]]),
    ],
)
def test_cut_reflects_the_part_inside_where_the_box_reaches_beyond_the_picture(box, expected):
    assert cut(GRID, box).tolist() == expected


def test_cut_pads_as_told_and_leaves_channels_alone():
    picture = np.stack([GRID, GRID + 100], axis=-1)
    assert cut(picture, [-1, 0, 2, 1]).shape == (1, 2, 2)
    assert cut(picture, [-1, 0, 2, 1], "constant").tolist() == [[[0, 0], [0, 100]]]
    assert cut(picture, [3, 0, 2, 1], "edge").tolist() == [[[3, 103], [3, 103]]]


# ---- paste -----------------------------------------------------------------------------------------------------


def picture_and_crop(height: int = 4, width: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Random uint8 [4, 6, 3], and a float crop of its size."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (4, 6, 3), np.uint8), rng.uniform(0, 255, (height, width, 3))


def test_paste_lays_the_crop_where_alpha_is_one_and_keeps_every_bit_where_it_is_zero():
    picture, crop = picture_and_crop()
    alpha = np.zeros((4, 6), np.float32)
    alpha[1:3, 2:4] = 1
    result = paste(picture, crop, [0, 0, 6, 4], alpha)
    assert np.array_equal(result[alpha == 0], picture[alpha == 0])
    assert np.array_equal(result[alpha == 1], np.rint(crop[alpha == 1]))


def test_paste_keeps_samples_where_alpha_is_zero_however_wild_the_crop():
    picture, _ = picture_and_crop()
    result = paste(picture, np.full((4, 6, 3), -1e9), [0, 0, 6, 4], np.zeros((4, 6), np.float32))
    assert np.array_equal(result, picture)


@pytest.mark.parametrize(("alpha", "expected"), [(0.25, 125), (0.5, 150), (1.0, 200)])
def test_paste_blends_by_alpha(alpha, expected):
    picture, crop = np.full((1, 1, 3), 100, np.uint8), np.full((1, 1, 3), 200.0)
    assert paste(picture, crop, [0, 0, 1, 1], np.full((1, 1), alpha)).tolist() == [[[expected] * 3]]


@pytest.mark.parametrize(("value", "expected"), [(-20.0, 0), (300.0, 255), (99.6, 100)])
def test_paste_rounds_and_clips(value, expected):
    picture = np.full((1, 1, 3), 7, np.uint8)
    result = paste(picture, np.full((1, 1, 3), value), [0, 0, 1, 1], np.ones((1, 1)))
    assert (result.dtype, result.tolist()) == (np.uint8, [[[expected] * 3]])


def test_paste_of_a_box_beyond_the_picture_uses_the_part_inside():
    picture, crop = picture_and_crop(8, 9)
    result = paste(picture, crop, [-2, -3, 9, 8], np.ones((4, 6)))
    assert np.array_equal(result, np.rint(crop[3:7, 2:8]))


def test_paste_touches_nothing_outside_the_box_nor_its_input():
    picture, crop = picture_and_crop(2, 2)
    before = picture.copy()
    result = paste(picture, crop, [3, 1, 2, 2], np.ones((4, 6)))
    assert np.array_equal(picture, before)
    outside = np.ones((4, 6), bool)
    outside[1:3, 3:5] = False
    assert np.array_equal(result[outside], picture[outside])
    assert np.array_equal(result[1:3, 3:5], np.rint(crop))


@pytest.mark.parametrize("box", [[1, 0, 4, 3], [-3, -2, 12, 9]])
def test_what_is_cut_and_pasted_back_is_the_picture(box):
    picture, _ = picture_and_crop()
    assert np.array_equal(paste(picture, cut(picture, box).astype(float), box, np.ones((4, 6))), picture)


# ---- feather ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inner", "outer", "row"),
    [
        (0, 4, [0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25, 0]),
        (2, 4, [0, 0.5, 1, 1, 1, 1, 1, 0.5, 0]),
        (0, 1, [0, 0, 0, 0, 1, 0, 0, 0, 0]),
        (2, 2, [0, 0, 1, 1, 1, 1, 1, 0, 0]),
        (2, 0, [0, 0, 1, 1, 1, 1, 1, 0, 0]),
    ],
)
def test_feather_falls_from_one_at_inner_to_zero_at_outer(inner, outer, row):
    weight = feather(mask_of((0, 4), size=(1, 9)), inner, outer)
    assert weight.dtype == np.float32
    assert weight[0].tolist() == pytest.approx(row)


def test_feather_measures_straight_distances():
    weight = feather(mask_of((0, 0), size=(5, 5)), 0, 10)
    assert weight[4, 3] == pytest.approx(0.5)  # 3, 4, 5
    assert weight[1, 1] == pytest.approx(1 - 2**0.5 / 10, abs=1e-4)


def test_feather_of_nothing_is_zero_and_of_everything_one():
    assert not feather(np.zeros((4, 4), bool), 2, 5).any()
    assert (feather(np.ones((4, 4), bool), 0, 5) == 1).all()
