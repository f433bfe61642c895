"""The same on real footage: odd sizes, sound, MPEG-4, full-range colours. The clips are not part of the repository."""

import numpy as np
import pytest

import streams
from conftest import ROOT, Project

CLIPS = ROOT.parent / "shared" / "clips"
BOXES = {  # the snowboarder's head, the cat's face, the kitten
    "man-skiing": {
        0: [566, 108, 690, 228],
        30: [403, 59, 523, 179],
        60: [482, 105, 602, 225],
        90: [383, 105, 503, 225],
    },
    "puff": [120, 80, 470, 400],
    "full-range": [105, 248, 333, 627],
}
RIM = 6 + 1 + 1  # the default feather, its end, and a neighbour through 4:2:0 chroma

pytestmark = pytest.mark.skipif(not CLIPS.is_dir(), reason="the real clips are not at hand (../shared/clips)")


@pytest.fixture(scope="module")
def edited(tmp_path_factory):
    """All three clips, edited by box and encoded without loss."""
    videos = {
        name: {"path": str(CLIPS / f"{name}.mp4"), "find": "it", "replace": "a robot", "box": box}
        for name, box in BOXES.items()
    }
    config = {
        "videos": videos,
        "keyframes": {"every": 30},
        "edit": {"steps": 1},
        "encode": {"lossless": True, "preset": "ultrafast"},
        "report": {"enabled": False},  # in test_report.py
    }
    project = Project(tmp_path_factory.mktemp("real"), config)
    ran = project()
    assert ran.status == 0, ran.text
    return project


@pytest.mark.parametrize("name", BOXES)
def test_a_real_clip_keeps_its_frames_times_and_tags(edited, name):
    before, after = CLIPS / f"{name}.mp4", edited / f"out/{name}.mp4"
    assert streams.times(after) == streams.times(before)
    assert streams.duration(after) == streams.duration(before)
    assert streams.tags(after) == streams.tags(before)


def test_a_real_clip_keeps_its_sound(edited):
    before, after = CLIPS / "man-skiing.mp4", edited / "out/man-skiing.mp4"
    assert streams.packets(after, "audio") == streams.packets(before, "audio")


@pytest.mark.parametrize("name", BOXES)
def test_a_real_clip_changes_inside_the_box_and_nowhere_else(edited, name):
    before, after = streams.frames(CLIPS / f"{name}.mp4"), streams.frames(edited / f"out/{name}.mp4")
    box = BOXES[name][0] if isinstance(BOXES[name], dict) else BOXES[name]
    for plane, step in ((0, 1), (1, 2), (2, 2)):
        changed = streams.changed(before[0][plane], after[0][plane])
        x0, y0, x1, y1 = (v // step for v in box)
        assert changed[y0:y1, x0:x1].mean() > 0.8
        changed[y0 - RIM // step : y1 + RIM // step + 1, x0 - RIM // step : x1 + RIM // step + 1] = False
        assert not changed.any()


@pytest.mark.parametrize("name", BOXES)
def test_every_frame_of_a_real_clip_is_edited(edited, name):
    before, after = streams.frames(CLIPS / f"{name}.mp4"), streams.frames(edited / f"out/{name}.mp4")
    shares = [streams.changed(b[0], a[0]).mean() for b, a in zip(before, after, strict=True)]
    assert min(shares) > 0.5 * np.median(shares)
