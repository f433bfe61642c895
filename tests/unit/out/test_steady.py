"""Neighbouring keyframes' edits mixed along the source's motion."""

import cv2
import numpy as np

from clevam.steady import motion, steadied

SHAPE = (60, 80)


def painted(value: float, x: int = 20) -> np.ndarray:
    """A square of one gray, times weight, and weight."""
    result = np.zeros((*SHAPE, 4), np.float32)
    result[20:40, x : x + 20, 3] = 1
    result[20:40, x : x + 20, :3] = value
    return result


def sure(value: float = 1, shape: tuple = SHAPE) -> np.ndarray:
    return np.full(shape, value, np.float32)


def test_alone_a_keyframe_stays_as_it_is():
    assert np.allclose(steadied(painted(0.3), [], 1), painted(0.3))


def test_neighbours_count_by_the_share_and_by_how_sure_their_motion_is():
    neighbours = [(painted(0.9), sure(), (0, 0)), (painted(0.6), sure(0.5), (0, 0))]
    here = steadied(painted(0.3), neighbours, 0.5)
    assert np.allclose(here[30, 25, :3], (0.3 + 0.5 * 0.9 + 0.25 * 0.6) / 1.75)
    assert np.array_equal(here[..., 3], painted(0)[..., 3])


def test_where_a_neighbour_shows_no_b_it_changes_nothing():
    here = steadied(painted(0.3), [(painted(0.9, 30), sure(), (0, 0))], 1)
    assert np.allclose(here[20:40, 20:30, :3], 0.3)
    assert np.allclose(here[20:40, 30:40, :3], 0.6)


def test_nothing_is_painted_where_nothing_was():
    here = steadied(painted(0.3), [(painted(0.9, 25), sure(), (0, 0))], 1)
    assert here[painted(1)[..., 3] == 0].max() == 0


def test_a_part_of_the_picture_is_mixed_where_it_lies():
    here = steadied(painted(0.3), [(painted(0.9)[22:32, 25:35], sure(shape=(10, 10)), (25, 22))], 1)
    assert np.allclose(here[22:32, 25:35, 0], 0.6)
    assert here[..., 0].sum() < painted(0.3)[..., 0].sum() + 100 * 0.3 + 0.1


def test_motion_leads_from_one_keyframe_to_the_other_in_pixels():
    grain = cv2.GaussianBlur(np.random.default_rng(0).uniform(0, 255, (140, 180)), (0, 0), 4)
    grain = cv2.normalize(grain, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    way, sure = motion(grain[20:121, 20:151], grain[18:119, 14:145])
    assert way.shape == (101, 131, 2) and sure.shape == (101, 131)
    assert np.abs(way[30:-30, 30:-30] - [6, 2]).max() < 0.3
    assert sure[30:-30, 30:-30].min() > 0.7
