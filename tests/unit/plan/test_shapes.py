"""What is done to a mask before B is painted into it."""

import numpy as np
import pytest

from clevam import masks, shapes
from clevam.candidates import Candidates
from clevam.shapes import Tools


def ring() -> np.ndarray:
    """A square ring, 20 wide with a hole 8 wide, and a crumb of 4 pixels."""
    mask = np.zeros((40, 60), bool)
    mask[8:28, 8:28] = True
    mask[14:22, 14:22] = False
    mask[34:36, 50:52] = True
    return mask


def test_without_tools_a_mask_is_itself():
    assert np.array_equal(Tools()(ring()), ring())


def test_crumbs_are_left_out():
    found = Tools(least=5)(ring())
    assert found.sum() == 400 - 64
    assert Tools(least=4)(ring()).sum() == ring().sum()


def test_what_is_surrounded_is_filled_and_nothing_else():
    assert Tools(fill_holes=True)(ring()).sum() == 400 + 4


def test_the_hull_is_convex_and_holds_all_parts():
    found = Tools(hull=True)(ring())
    assert found[ring()].all()
    rows = [np.flatnonzero(row) for row in found if row.any()]
    assert all(len(row) == row[-1] - row[0] + 1 for row in rows)
    assert found.sum() > 400


@pytest.mark.parametrize("by", [1, 3, -1, -3])
def test_dilating_moves_the_edge_by_so_many_pixels(by):
    square = np.zeros((40, 40), bool)
    square[10:30, 10:30] = True
    found = Tools(dilate=by)(square)
    rows = np.flatnonzero(found.any(1))
    assert (rows[0], rows[-1]) == (10 - by, 29 + by)


def test_dilating_is_the_same_in_all_directions():
    point = np.zeros((41, 41), bool)
    point[20, 20] = True
    y, x = np.mgrid[:41, :41] - 20
    assert np.array_equal(Tools(dilate=7)(point), x**2 + y**2 <= 49)


def test_loose_is_the_hull_with_room_in_proportion_to_a():
    square = np.zeros((80, 80), bool)
    square[30:50, 30:50] = True
    found = Tools(loose=True)(square)
    assert np.flatnonzero(found.any(1))[0] == 30 - round(shapes.LOOSE * 20)


@pytest.mark.parametrize("tools", [Tools(9, True, True, True, 5), Tools(dilate=-3)])
def test_an_empty_mask_stays_empty(tools):
    assert not tools(np.zeros((9, 9), bool)).any()


def test_tools_work_on_each_region_and_later_ones_lie_on_top():
    left, right = np.zeros((2, 9, 20), bool)
    left[2:7, 2:8], right[2:7, 10:16] = True, True
    drawn = masks.draw(Candidates.certain({0: left, 1: right}, (9, 20)), [[0], [1]], [1, 2], Tools(dilate=3))
    assert drawn[4].tolist() == [1] * 7 + [2] * 12 + [0]
    kept = masks.draw(Candidates.certain({0: left, 1: right}, (9, 20)), [[0], [1]], [1, 0], Tools(dilate=3))
    assert kept[4].tolist() == [1] * 7 + [0] * 13
