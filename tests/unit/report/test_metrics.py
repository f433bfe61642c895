"""Every metric against what is worked out by hand."""

import numpy as np
import pytest

from clevam import metrics
from clevam.figures import METRICS
from clevam.metrics import IDENTICAL


def flat(level: int | tuple[int, int, int], size: tuple[int, int] = (32, 32)) -> np.ndarray:
    return np.full((*size, 3), level, np.uint8)


def box(top: int, left: int, bottom: int, right: int, size: tuple[int, int] = (32, 32)) -> np.ndarray:
    mask = np.zeros(size, bool)
    mask[top:bottom, left:right] = True
    return mask


def test_ten_levels_everywhere_are_28_decibels():
    assert metrics.psnr(metrics.squared_error(flat(100), flat(110))) == pytest.approx(10 * np.log10(255**2 / 100))


def test_only_the_pixels_that_are_asked_for_count():
    after, where = flat(100), box(0, 0, 8, 32)
    after[20:, :, 1] = 250
    assert metrics.squared_error(flat(100), after, where) == 0
    assert metrics.squared_error(flat(100), after, ~where) == pytest.approx(150**2 * 12 * 32 / (3 * 24 * 32))


def test_pictures_that_are_the_same_have_the_agreed_value_and_none_have_none():
    assert metrics.psnr(metrics.squared_error(flat(7), flat(7))) == IDENTICAL
    assert metrics.psnr(metrics.squared_error(flat(7), flat(7), box(0, 0, 0, 0))) is None


def test_ssim_of_two_flat_pictures_is_the_formulas_luminance_term():
    """(2ab + C1) / (a² + b² + C1) with C1 = (0.01 · 255)²; no variance is left."""
    expected = (2 * 100 * 120 + 2.55**2) / (100**2 + 120**2 + 2.55**2)
    assert metrics.ssim(flat(100), flat(120)) == pytest.approx(expected, abs=1e-6)


def test_ssim_is_told_of_the_pixels_that_are_asked_for():
    before = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    after = before.copy()
    after[40:] = 255 - after[40:]
    assert metrics.ssim(before, after, box(0, 0, 30, 64, (64, 64))) == pytest.approx(1)
    assert metrics.ssim(before, after, box(45, 0, 64, 64, (64, 64))) < 0
    assert metrics.ssim(before, before) == 1
    assert metrics.ssim(flat(1, (8, 8)), flat(1, (8, 8))) is None


def test_a_blanked_picture_is_black_where_a_is():
    result = metrics.blanked(flat(9), box(0, 0, 4, 4))
    assert result[:4, :4].max() == 0
    assert (result[4:] == 9).all()


def test_exactness_counts_pixels_of_which_no_sample_differs():
    before = [np.zeros((8, 8), np.uint8), np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8)]
    after = [plane.copy() for plane in before]
    outside = ~box(0, 0, 2, 2, (8, 8))
    assert metrics.exactness(before, after, outside) == 1
    after[0][7, 7] = 1  # one pixel
    after[2][3, 0] = 1  # four, in luma
    after[1][0, 0] = 1  # of A
    assert metrics.exactness(before, after, outside) == pytest.approx(1 - 5 / 60)


def test_pixels_that_share_a_chroma_sample_with_a_are_not_held_against_it():
    before = [np.zeros((8, 8), np.uint8), np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8)]
    after = [plane.copy() for plane in before]
    after[1][0, 0] = 9
    assert metrics.exactness(before, after, ~box(0, 0, 1, 1, (8, 8))) == 1
    assert metrics.exactness(before, after, np.zeros((8, 8), bool)) is None


def test_motion_that_comes_back_is_known_and_what_leaves_the_picture_or_does_not_come_back_is_not():
    right = np.zeros((16, 16, 2), np.float32)
    right[..., 0] = 3
    known = metrics.reached(right, -right)
    assert known[:, :12].all()
    assert not known[:, 14:].any()
    assert not metrics.reached(right, right).any()


def test_a_fifth_of_the_range_is_a_warp_error_of_40_thousandths():
    assert metrics.warp_error(flat(100), flat(151), box(0, 0, 9, 9)) == pytest.approx(40)
    assert metrics.warp_error(flat(100), flat(151), box(0, 0, 0, 0)) is None


def test_overlap_is_intersection_over_union():
    assert metrics.overlap(box(0, 0, 10, 10), box(0, 5, 10, 15)) == pytest.approx(50 / 150)
    assert metrics.overlap(box(0, 0, 0, 0), box(0, 0, 0, 0)) is None


def test_from_black_to_white_is_a_hundred_in_lab():
    assert metrics.change(flat(0), flat(255), box(0, 0, 9, 9)) == pytest.approx(100, abs=0.1)
    assert metrics.change(flat(0), flat(255), box(0, 0, 0, 0)) is None


def test_psnr_is_averaged_as_an_error():
    told = metrics.summarised({"background_psnr": [20.0, None, 40.0, IDENTICAL]})["background_psnr"]
    assert told["mean"] == pytest.approx(10 * np.log10(1 / ((10**-2 + 10**-4 + 0) / 3)))
    assert (told["worst"], told["frame"]) == (20.0, 0)


def test_the_worst_frame_is_the_lowest_or_the_highest_as_the_metric_says():
    told = metrics.summarised(
        {"warp_error_inside": [1.0, 5.0, None], "mask_iou": [0.9, 0.2, 0.8], "change": [3.0, 5.0]}
    )
    assert told["warp_error_inside"] == {"mean": 3.0, "worst": 5.0, "frame": 1}
    assert told["mask_iou"]["frame"] == 1
    assert told["change"] == {"mean": 4.0}
    assert metrics.summarised({"mask_iou": [None, None]}) == {"mask_iou": None}


def test_every_metric_says_what_it_is():
    assert all(metric.title and metric.definition.endswith(".") for metric in METRICS.values())
