"""A result beside its source: what is right is not red, and each way to break it is caught by the metric for it."""

from fractions import Fraction

import numpy as np
import pytest

import clips
from clevam import alarms, flow, measure, video
from clevam.files import read_json
from reported import LIMITS, index_of, measured, painted, squares
from world import Scene

COUNT = 20
NO_MOTION = measure.Sureness([], {}, 1000, (160, 96))


@pytest.fixture(scope="module")
def scene():
    """Frames of the demo world and where their first object truly is."""
    world = Scene.random(903385, size=(96, 160), frames=COUNT)
    return [world.frame(t) for t in range(COUNT)], [world.labels(t) == 1 for t in range(COUNT)]


@pytest.fixture(scope="module")
def good(scene):
    return painted(*scene, (40, 60, 200))


def red(told: dict, lossless: bool = True) -> set[str]:
    return {alarm["metric"] for alarm in alarms.raised(told, LIMITS, lossless)}


def test_what_changes_a_alone_is_exact_around_it_and_not_red(tmp_path, scene, good):
    told = measured(tmp_path, scene[0], good, scene[1])
    assert told["summary"]["exactness"]["worst"] == 1
    # Not without end: in RGB, chroma of A reaches a pixel beyond its samples.
    assert told["summary"]["background_psnr"]["worst"] > 60
    assert told["summary"]["background_ssim"]["worst"] > 0.999
    assert told["frames"] == {"expected": COUNT, "found": COUNT, "off": 0}
    assert red(told) == set()


def test_the_demo_worlds_true_masks_are_steady_and_as_large_as_they_are(tmp_path, scene, good):
    told = measured(tmp_path, scene[0], good, scene[1])
    assert told["summary"]["mask_iou"]["worst"] > 0.9
    assert told["series"]["area"] == pytest.approx([100 * mask.mean() for mask in scene[1]], rel=1e-4)
    assert told["summary"]["change"]["mean"] > 20


def test_a_shifted_picture_is_caught_by_what_is_around_a(tmp_path, scene, good):
    shifted = [np.roll(picture, 2, axis=1) for picture in good]
    assert {"background_psnr", "exactness"} <= red(measured(tmp_path, scene[0], shifted, scene[1]))


def test_one_sample_that_differs_around_a_is_caught_by_exactness_alone(tmp_path, scene, good):
    stained = [picture.copy() for picture in good]
    outside = np.argwhere(~scene[1][7])[-1]
    stained[7][tuple(outside)] ^= 64
    told = measured(tmp_path, scene[0], stained, scene[1])
    assert red(told) == {"exactness"}
    assert told["summary"]["exactness"]["frame"] == 7
    assert red(told, lossless=False) == set()  # then the encoder may have done it


def test_a_recoloured_frame_is_caught_by_the_warp_error_in_a(tmp_path, scene, good):
    blinking = [*good]
    blinking[9] = painted(scene[0][9:10], scene[1][9:10], (200, 60, 40))[0]
    told = measured(tmp_path, scene[0], blinking, scene[1])
    assert red(told) == {"warp_error_inside"}
    assert told["summary"]["warp_error_inside"]["frame"] in (8, 9)


def test_a_dropped_frame_is_caught_by_their_number(tmp_path, scene, good):
    told = measured(tmp_path, scene[0], [*good[:9], *good[10:]], scene[1])
    assert told["frames"]["found"] == COUNT - 1
    found = alarms.raised(told, LIMITS, lossless=True)
    assert {"frames", "exactness"} <= {alarm["metric"] for alarm in found}
    assert found[0]["text"] == "19 frames instead of 20"


def test_a_frame_too_many_is_caught_as_well(tmp_path, scene, good):
    assert "frames" in red(measured(tmp_path, scene[0], [*good, good[-1]], scene[1]))


def test_frames_at_other_times_are_caught(tmp_path, scene, good):
    late = [*range(9), *(i + 1 for i in range(9, COUNT))]
    told = measured(tmp_path, scene[0], good, scene[1], pts=late)
    assert told["frames"]["off"] == pytest.approx(1 / 25)
    assert red(told) == {"frames"}


def test_a_mask_that_jumps_is_caught_by_its_overlap(tmp_path):
    source, masks = squares(COUNT)
    masks[11] = np.roll(masks[11], 30, axis=0)
    told = measured(tmp_path, source, painted(source, masks, (20, 160, 60)), masks)
    assert told["summary"]["mask_iou"]["frame"] in (10, 11)
    assert "mask_iou" in red(told)


def test_a_clip_without_a_passes_through(tmp_path):
    source, masks = squares(4)
    told = measured(tmp_path, source, source, [mask & False for mask in masks])
    assert told["summary"]["exactness"]["mean"] == 1
    assert told["summary"]["warp_error_inside"] is None
    assert red(told) == set()


@pytest.mark.parametrize(
    "options",
    [
        {"rotation": 90},
        {"aspect": Fraction(4, 3)},
        {"pix_fmt": "yuv422p10le"},
        {"full_range": True},
    ],
    ids=str,
)
def test_clips_of_every_kind_are_exact_around_a(tmp_path, scene, good, options):
    """Also where nothing of a frame is edited."""
    result, masks = [*good[:5], scene[0][5]], [*scene[1][:5], scene[1][5] & False]
    told = measured(tmp_path, scene[0][:6], result, masks, segments=[[0, 4]], **options)
    assert told["summary"]["exactness"]["worst"] == 1
    assert red(told) == set()


def test_another_pixel_format_has_no_exactness(tmp_path, scene, good):
    measured(tmp_path, scene[0][:6], good[:6], scene[1][:6])
    clip, result = tmp_path / "clip.mp4", tmp_path / "out/ball.mp4"
    clips.write_clip(result, good[:6], pix_fmt="yuv444p", qp="0")
    pairs = measure.Pairs(str(clip), str(result), index_of(clip, 6))
    meter = measure.Meter(pairs.index["stream"], measure.Masks({}, {}, 1000, 1, (160, 96)), NO_MOTION, 2)
    for frame in pairs:
        meter.take(frame, cut=False)
    assert meter.told()["summary"]["exactness"] is None


def test_the_certainty_of_motion_is_that_of_the_surer_keyframe_in_a(tmp_path):
    """Frame 3 between keyframes 0 and 6; A is the left half of the box of 8 x 8 at (4, 2)."""
    still, half = np.zeros((8, 8, 2), np.float32), np.zeros((8, 8), np.float32)
    half[:, :4] = 0.5
    (tmp_path / "0000").mkdir()
    flow.write(tmp_path / f"0000/000003{flow.SUFFIX}", (still, half), (still, half / 2))
    sureness = measure.Sureness([[[0, 6], [1, 5], [4, 2, 8, 8]]], {"0000": str(tmp_path / "0000")}, 48, (16, 12))
    sure = sureness.at(3)
    assert sure.shape == (12, 16)
    assert sure[2:10, 4:6] == pytest.approx(0.5, abs=0.01)
    assert not sure[:, 10:].any()
    assert sureness.at(0) is None


def test_one_frame_is_measured_too(tmp_path):
    source, masks = squares(1)
    assert measured(tmp_path, source, source, masks)["frames"]["found"] == 1


def test_every_small_video_has_the_sources_frames_at_their_times(tmp_path):
    source, masks = squares(COUNT)
    measured(tmp_path, source, source, masks)
    folder = tmp_path / "work/report/ball"
    expected = [frame.time for frame in clips.decode(tmp_path / "clip.mp4")]
    for name in ("source", "edit", "mask", "motion", "confidence", "difference"):
        assert [frame.time for frame in clips.decode(folder / f"{name}.mp4")] == pytest.approx(expected, abs=1e-4)
        assert video.probe(folder / f"{name}.mp4")["pix_fmt"] == "yuv420p"


def test_the_same_input_gives_the_same_bytes(tmp_path):
    source, masks = squares(6)
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        measured(folder, source, source, masks)
    one, other = ({p.name: p.read_bytes() for p in (folder / "work/report/ball").iterdir()} for folder in folders)
    assert one == other
    assert read_json(folders[0] / "work/report/ball/measured.json")["series"]["exactness"] == [1.0] * 6
