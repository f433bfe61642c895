"""outline.py: masks segmented anew where the motion says that A is."""

from pathlib import Path

import numpy as np
import pytest

from clevam import outline
from clevam.outline import Outline
from clevam.segmenter import Segmenter
from clevam.shapes import Tools
from conftest import noise

PICTURE = noise(48, 64)


def shares_of(*boxes: tuple[slice, slice] | None, share: float = 1.0) -> np.ndarray:
    """float32 [R, 48, 64], `share` in the box of each region."""
    result = np.zeros((len(boxes), 48, 64), np.float32)
    for one, box in zip(result, boxes, strict=True):
        if box is not None:
            one[box] = share
    return result


class Segments:
    """A segmenter that answers what it is told, and remembers what it was asked."""

    def __init__(self, *answers: tuple[slice, slice]) -> None:
        self.answers, self.asked = shares_of(*answers) > 0, []

    def __call__(self, picture: np.ndarray, boxes: list[list[int]]) -> np.ndarray:
        assert picture is PICTURE
        self.asked.append([[int(v) for v in box] for box in boxes])
        return self.answers


@pytest.fixture(scope="module")
def weights(finders: Path) -> str:
    return str(finders / "segmentation" / "weights.pth")


@pytest.fixture
def told(monkeypatch):
    """An Outline with a segmenter that answers what it is told."""

    def make(*answers: tuple[slice, slice], whole=(), tools=Tools()) -> Outline:  # noqa: B008
        monkeypatch.setattr(outline, "Segmenter", lambda weights, device: Segments(*answers))
        return Outline("no weights", "cpu", list(whole), tools)

    return make


THING = np.s_[10:20, 30:40]


def test_the_segmenters_answer_takes_the_place_of_what_motion_says(told):
    find = told(np.s_[9:20, 31:41])
    assert np.array_equal(find(PICTURE, shares_of(THING)), shares_of(np.s_[9:20, 31:41]))
    assert find.segment.asked == [[[30, 10, 40, 20]]]


@pytest.mark.parametrize(
    "answer, same",
    [
        (np.s_[10:20, 30:44], True),  # 10 of 14
        (np.s_[10:20, 30:37], True),  # 7 of 10
        (np.s_[10:20, 30:45], False),
        (np.s_[10:19, 30:37], False),
        (np.s_[10:20, 36:40], False),
        (np.s_[10:20, 34:44], False),
        (np.s_[0:5, 0:5], False),  # nothing
        (np.s_[0:0, 0:0], False),
    ],
)
def test_what_motion_says_is_kept_where_the_answer_overlaps_less_than_seven_tenths_of_both(told, answer, same):
    motion = shares_of(THING, share=0.8)
    found = told(answer)(PICTURE, motion)
    assert np.array_equal(found, shares_of(answer) if same else motion)


def test_a_box_is_around_what_has_most_of_its_pixels(told):
    motion = shares_of(THING)
    motion[0, 20:30] = 0.5
    motion[0, 25, 50] = 0.51
    find = told(THING)
    find(PICTURE, motion)
    assert find.segment.asked == [[[30, 10, 51, 26]]]


def test_every_region_has_the_answer_to_its_own_box(told):
    boxes, answers = (np.s_[2:12, 3:13], np.s_[20:30, 40:50]), (np.s_[2:12, 3:12], np.s_[21:30, 40:50])
    find = told(*answers)
    assert np.array_equal(find(PICTURE, shares_of(*boxes)), shares_of(*answers))
    assert find.segment.asked == [[[3, 2, 13, 12], [40, 20, 50, 30]]]


def test_one_region_may_be_taken_anew_and_another_kept(told):
    boxes = np.s_[2:12, 3:13], np.s_[20:30, 40:50]
    found = told(np.s_[2:12, 3:12], np.s_[0:48, 0:64])(PICTURE, shares_of(*boxes))
    assert np.array_equal(found, shares_of(np.s_[2:12, 3:12], boxes[1]))


def test_the_whole_frame_is_behind_the_others_wherever_they_turn_out_to_be(told):
    """And not where something is kept that is in front of it."""
    thing, moved = np.s_[2:12, 3:13], np.s_[2:12, 4:13]
    ground = shares_of(np.s_[:, :])[0]
    ground[thing] = ground[40:44, 50:60] = 0  # the second is kept
    find = told(moved, whole=[0])
    found = find(PICTURE, np.stack([ground, shares_of(thing)[0]]))
    ground[thing] = 1
    assert np.array_equal(found, np.stack([ground, shares_of(moved)[0]]))
    assert find.segment.asked == [[[3, 2, 13, 12]]]


def test_tools_are_for_what_was_segmented_since_motion_carries_masks_that_had_them(told):
    boxes = np.s_[2:12, 3:13], np.s_[20:30, 40:50]
    found = told(np.s_[2:12, 3:13], np.s_[0:48, 0:64], tools=Tools(dilate=1))(PICTURE, shares_of(*boxes))
    assert [one.sum() for one in found] == [140, 100]


@pytest.mark.parametrize("motion", [shares_of(None, None), shares_of(THING, None, share=0.5), shares_of(None, THING)])
def test_nothing_is_asked_where_nothing_has_an_outline(told, motion):
    find = told(whole=[1])
    assert np.array_equal(find(PICTURE, motion)[0], motion[0])
    assert find.segment.asked == []


def test_a_region_that_is_not_there_is_not_asked_for(told):
    find = told(THING)
    assert np.array_equal(find(PICTURE, shares_of(None, THING)), shares_of(None, THING))
    assert find.segment.asked == [[[30, 10, 40, 20]]]


def test_the_shares_that_go_in_stay_as_they_are(told):
    motion = shares_of(THING)
    told(np.s_[9:20, 31:41])(PICTURE, motion)
    assert np.array_equal(motion, shares_of(THING))


def test_answers_are_those_of_the_segmenter_in_its_file(weights, monkeypatch):
    monkeypatch.setattr(outline, "SAME", 0)
    motion = shares_of(THING, np.s_[20:40, 5:25])
    find = Outline(weights, "cpu", [], Tools())
    expected = Segmenter(weights, find.segment.predictor.device)(PICTURE, [[30, 10, 40, 20], [5, 20, 25, 40]])
    found = find(PICTURE, motion)
    assert np.array_equal(found, expected)
    assert (found.dtype, 0.02 < found.mean() < 0.98) == (np.float32, True)
