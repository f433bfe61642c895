"""plan.py: the reference, one crop size per segment, and where motion is measured."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clevam import plan
from clevam.errors import UserError

FRAME = (640, 360)


def crops(*boxes: list[int], frame=FRAME, margin=0.25, rim=0, size=128, multiple=64) -> list[dict]:
    """Crops of boxes that belong to one segment."""
    named = {f"{i:06d}": box for i, box in enumerate(boxes)}
    return list(plan.crop(named, frame, margin, rim, size, multiple).values())


def plan_of(folder: Path, boxes: dict[int, list | None], segments: list, reach: dict | None = None, **changed) -> dict:
    """plan.json of a 640 x 360 clip with A in a box, or nowhere, on each keyframe."""
    masks = {}
    for i, box in boxes.items():
        labels = np.zeros(FRAME[::-1], np.uint8)
        if box:
            x, y, width, height = box
            labels[y : y + height, x : x + width] = 1
        masks[f"{i:06d}"] = str(folder / f"{i:06d}.png")
        Image.fromarray(labels).save(masks[f"{i:06d}"])
    index = {"stream": {"upright": list(FRAME)}, "segments": segments, "keyframes": list(masks), "reach": reach or {}}
    options = {
        "regions": 1,
        "reference": "first",
        "margin": 0.25,
        "flow_margin": 0.5,
        "rim": 0,
        "size": 128,
        "multiple": 64,
    }
    plan.write(masks, str(folder / "plan.json"), index=index, **options | changed)
    return json.loads((folder / "plan.json").read_text())


# ---- crops -----------------------------------------------------------------------------------------------------


def test_a_square_thing_gets_a_square_crop_with_its_margin():
    assert crops([100, 100, 80, 80]) == [{"box": [80, 80, 120, 120], "work": [128, 128]}]


def test_all_crops_of_a_segment_are_of_the_size_that_the_largest_needs():
    small, wide, tall = crops([300, 150, 20, 20], [100, 100, 160, 40], [100, 100, 40, 80])
    assert small["work"] == wide["work"] == tall["work"] == [256, 128]
    assert [c["box"][2:] for c in (small, wide, tall)] == [[240, 120]] * 3


@pytest.mark.parametrize("thing", [[200, 100, 80, 80], [200, 100, 200, 60], [200, 20, 33, 190], [300, 170, 3, 2]])
@pytest.mark.parametrize(("size", "multiple"), [(128, 64), (512, 64), (96, 8)])
def test_work_has_its_short_side_as_told_and_both_in_multiples(thing, size, multiple):
    (work,) = [c["work"] for c in crops(thing, size=size, multiple=multiple)]
    assert min(work) == size
    assert all(side % multiple == 0 for side in work)


@pytest.mark.parametrize("thing", [[200, 100, 80, 80], [200, 100, 201, 61], [200, 20, 33, 190], [300, 99, 500, 7]])
@pytest.mark.parametrize("margin", [0, 0.25, 1])
def test_nothing_is_stretched(thing, margin):
    ((box, work),) = [(c["box"], c["work"]) for c in crops(thing, margin=margin)]
    scale = min(work) / min(box[2:])
    assert [side / scale for side in work] == pytest.approx(box[2:], abs=0.51)


@pytest.mark.parametrize("thing", [[200, 100, 80, 80], [200, 100, 201, 61], [250, 100, 33, 120], [300, 150, 7, 5]])
@pytest.mark.parametrize("margin", [0, 0.25, 0.5])
def test_the_box_holds_the_thing_with_its_margin_where_that_fits(thing, margin):
    (box,) = [c["box"] for c in crops(thing, margin=margin)]
    x, y, width, height = thing
    room_x, room_y = int(margin * width) - 1, int(margin * height) - 1
    assert box[0] <= x - room_x and box[0] + box[2] >= x + width + room_x
    assert box[1] <= y - room_y and box[1] + box[3] >= y + height + room_y


@pytest.mark.parametrize("thing", [[0, 0, 80, 80], [560, 280, 80, 80], [0, 280, 80, 80]])
def test_a_box_at_the_edge_is_moved_into_the_picture_and_still_holds_the_thing(thing):
    (box,) = [c["box"] for c in crops(thing)]
    assert box[2:] == [120, 120]
    assert 0 <= box[0] <= thing[0] and thing[0] + 80 <= box[0] + 120 <= 640
    assert 0 <= box[1] <= thing[1] and thing[1] + 80 <= box[1] + 120 <= 360


def test_a_crop_reaches_beyond_the_picture_only_for_the_multiple():
    assert crops([0, 0, 640, 360]) == [{"box": [-40, 0, 720, 360], "work": [256, 128]}]


def test_a_tiny_thing_is_seen_with_32_pixels_around_it():
    assert crops([300, 150, 4, 4]) == [{"box": [286, 136, 32, 32], "work": [128, 128]}]


def test_without_a_thing_there_are_no_crops():
    assert plan.crop({}, FRAME, margin=0.25, rim=0, size=128, multiple=64) == {}


# ---- motion ----------------------------------------------------------------------------------------------------


def test_motion_is_measured_around_both_boxes_with_room_to_move():
    assert plan.room([100, 100, 20, 40], [140, 90, 20, 20], 0.5, FRAME) == [64, 54, 132, 122]  # 16 + half of 40


def test_motion_is_measured_around_the_one_box_there_is():
    assert plan.room(None, [100, 100, 20, 40], 0, FRAME) == [84, 84, 52, 72]
    assert plan.room([100, 100, 20, 40], None, 0, FRAME) == [84, 84, 52, 72]


def test_motion_stays_in_the_picture():
    assert plan.room([0, 0, 20, 40], [600, 300, 40, 60], 4, FRAME) == [0, 0, 640, 360]


def test_motion_of_nothing_is_null():
    assert plan.room(None, None, 0.5, FRAME) is None


# ---- reference -------------------------------------------------------------------------------------------------

CROPS = {"000006": {}, "000012": {}, "000018": {}}
KEYFRAMES = ["000000", "000006", "000012", "000018"]


@pytest.mark.parametrize(("reference", "chosen"), [("first", "000006"), (12, "000012")])
def test_the_reference_is_the_first_with_a_or_the_one_given(reference, chosen):
    assert plan.choose(reference, CROPS, KEYFRAMES) == chosen


def test_the_medoid_is_the_keyframe_whose_a_is_shaped_like_most_others(tmp_path):
    boxes = {0: [100, 100, 90, 20], 12: None, 24: [300, 50, 60, 60], 36: [40, 200, 40, 20], 48: [90, 90, 80, 78]}
    assert plan_of(tmp_path, boxes, [[0, 48]])["reference"] == "000000"
    assert plan_of(tmp_path, boxes, [[0, 48]], reference="medoid")["reference"] == "000024"


def test_a_silhouette_says_nothing_of_place_and_size():
    cross = np.zeros((90, 120), bool)
    cross[30:60, 40:50], cross[40:50, 30:60] = True, True
    one = plan.shape(cross, [30, 30, 30, 30])
    assert np.array_equal(plan.shape(cross.repeat(2, 0).repeat(2, 1), [60, 60, 60, 60]), one)
    assert 0.5 < one.mean() < 0.6


@pytest.mark.parametrize(("reference", "why"), [(0, "has no A in it"), (7, "is not a keyframe")])
def test_an_impossible_reference_is_an_error_that_offers_others(reference, why):
    message = rf"plan\.reference: frame {reference} {why}; choose one of 6, 12, 18"
    with pytest.raises(UserError, match=message):
        plan.choose(reference, CROPS, KEYFRAMES)


def test_a_on_no_keyframe_is_an_error_with_the_cure():
    with pytest.raises(UserError, match=r"every mask is empty; check `masks`, or paint one into masks_override/"):
        plan.choose("first", {}, KEYFRAMES)


# ---- plan.json -------------------------------------------------------------------------------------------------


def test_plan_has_crops_of_one_size_per_segment_and_motion_within_segments(tmp_path):
    boxes = {0: None, 6: [100, 100, 80, 80], 9: [120, 100, 40, 40], 10: [200, 200, 40, 40], 19: None}
    written = plan_of(tmp_path, boxes, [[0, 9], [10, 19]], regions=2)
    assert {name: (crop["box"][2:], crop["work"]) for name, crop in written["crops"].items()} == {
        "000006": ([120, 120], [128, 128]),
        "000009": ([120, 120], [128, 128]),
        "000010": ([60, 60], [128, 128]),
    }
    assert [each[:2] for each in written["motion"]] == [[[0, 6], [1, 5]], [[6, 9], [7, 8]], [[10, 19], [11, 18]]]
    assert (written["reference"], written["regions"]) == ("000006", 2)


def test_plan_has_no_motion_box_where_neither_keyframe_has_a(tmp_path):
    boxes = {0: [100, 100, 80, 80], 5: None, 9: None}
    written = plan_of(tmp_path, boxes, [[0, 9]], flow_margin=0)
    assert written["motion"] == [[[0, 5], [1, 4], [84, 84, 112, 112]], [[5, 9], [6, 8], None]]


def test_after_the_last_keyframe_of_a_segment_motion_is_measured_as_far_as_things_go(tmp_path):
    boxes = {0: [100, 100, 80, 80], 5: [120, 100, 80, 80], 10: [200, 200, 40, 40], 20: None, 30: [300, 100, 20, 20]}
    reach = {"000000": 7, "000005": 9, "000010": 30}
    motion = plan_of(tmp_path, boxes, [[0, 9], [10, 19], [20, 29], [30, 30]], reach, flow_margin=0)["motion"]
    assert motion == [
        [[0, 5], [1, 4], [84, 84, 132, 112]],
        [[5], [6, 9], [95, 75, 130, 130]],
        [[10], [11, 19], [154, 154, 132, 132]],
        [[20], [21, 29], None],
    ]


def test_there_is_no_motion_between_neighbouring_frames(tmp_path):
    assert plan_of(tmp_path, {3: [100, 100, 80, 80], 4: [100, 100, 80, 80]}, [[3, 4]])["motion"] == []


def test_plan_takes_every_region_as_a(tmp_path):
    labels = np.zeros((360, 640), np.uint8)
    labels[100:140, 100:140], labels[100:140, 160:180] = 1, 2
    Image.fromarray(labels).save(tmp_path / "000000.png")
    index = {"stream": {"upright": list(FRAME)}, "segments": [[0, 0]], "keyframes": ["000000"], "reach": {}}
    options = {"reference": "first", "margin": 0, "flow_margin": 0, "rim": 0, "size": 64, "multiple": 64}
    masks = {"000000": str(tmp_path / "000000.png")}
    plan.write(masks, str(tmp_path / "plan.json"), index=index, regions=2, **options)
    written = json.loads((tmp_path / "plan.json").read_text())
    assert written["crops"]["000000"] == {"box": [100, 100, 80, 40], "work": [128, 64]}
    assert written["motion"] == []


def test_plan_with_empty_masks_alone_is_an_error_and_writes_nothing(tmp_path):
    with pytest.raises(UserError, match="A is on no keyframe"):
        plan_of(tmp_path, {0: None, 9: None}, [[0, 9]])
    assert not (tmp_path / "plan.json").exists()


def test_plan_refuses_a_mask_of_another_size(tmp_path):
    Image.fromarray(np.ones((36, 64), np.uint8)).save(tmp_path / "000000.png")
    index = {"stream": {"upright": list(FRAME)}, "segments": [[0, 0]], "keyframes": ["000000"], "reach": {}}
    options = {"reference": "first", "margin": 0, "flow_margin": 0, "rim": 0, "size": 64, "multiple": 64}
    with pytest.raises(UserError, match=r"000000\.png: is 64x36, but the upright video is 640x360"):
        plan.write(
            {"000000": str(tmp_path / "000000.png")}, str(tmp_path / "p.json"), index=index, regions=1, **options
        )


def test_a_crop_has_room_for_twice_the_rim_around_a_small_thing():
    (small,) = crops([300, 100, 20, 20], margin=0.25, rim=6)
    assert small["box"] == [288, 88, 44, 44]  # 12 pixels on every side
