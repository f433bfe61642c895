"""Masks of the frames between keyframes, and those of all frames as a video."""

import numpy as np
import pytest
from PIL import Image

import streams
from clevam.files import read_json
from conftest import edit

BETWEEN = [i for i in range(60) if i not in (0, 20, 40, 59)]


def labels(project, i: int) -> np.ndarray:
    """Of frame i, bool [H, W]."""
    return np.asarray(Image.open(project / f"masks_frames/ball/{i // 48:04d}/{i:06d}.png")) > 0


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return (a & b).sum() / (a | b).sum()


def test_a_mask_video_says_where_a_is_on_every_frame(finished, scene):
    for i in BETWEEN:
        assert np.array_equal(labels(finished, i), scene.labels(i) == 1)


@pytest.mark.parametrize(("between", "rule", "least"), [("flow", "carried", 0.95), ("segment", "segmented", 0.9)])
def test_masks_between_follow_the_object_and_come_out_as_a_video(project, scene, between, rule, least):
    ran = project("masks_video", masks={"between": between})
    assert ran.status == 0, ran.text
    assert ran.jobs == {rule: 2, "film": 1, "masks_video": 1}
    assert np.mean([overlap(labels(project, i), scene.labels(i) == 1) for i in BETWEEN]) > least
    filmed = [planes[0] for planes in streams.frames(project / "masks_video/ball.mkv")]
    assert len(filmed) == 60
    assert all(np.array_equal(filmed[i], 255 * labels(project, i)) for i in BETWEEN)


def test_the_masks_video_of_other_keyframes_waits_for_their_masks(project):
    ran = project("masks_video", **edit(range=[0.0, 0.5]))
    assert ran.status == 0, ran.text
    filmed = [planes[0].any() for planes in streams.frames(project / "masks_video/ball.mkv")]
    assert filmed == [True] * 13 + [False] * 47


def test_tools_for_masks_work_on_every_frame(project, scene):
    ran = project("masks_frames/ball/0000", masks={"dilate": 3})
    assert ran.status == 0, ran.text
    wider, true = labels(project, 10), scene.labels(10) == 1
    assert wider[true].all()
    assert wider.sum() > 1.1 * true.sum()


def test_a_painted_mask_carries_to_the_frames_around_it(project):
    """The block's masks follow, and the result, once its keyframes do."""
    flow = edit(masks={"between": "flow"})
    assert project(**flow).status == 0
    whole = labels(project, 21)
    mask = np.asarray(Image.open(project / "masks/ball/000020.png")).copy()
    rows, columns = np.nonzero(mask)
    y, x = rows[len(rows) // 2], columns[len(rows) // 2]
    mask[y - 4 : y + 4, x - 4 : x + 4] = 0
    (project / "masks_override/ball").mkdir(parents=True)
    Image.fromarray(mask).save(project / "masks_override/ball/000020.png")
    ran = project("masks_frames/ball/0000", **flow)
    assert ran.jobs == {"mask": 1, "plan": 1, "carried": 1}
    assert 0 < (whole & ~labels(project, 21)).sum() < 0.2 * whole.sum()


def test_a_shot_with_one_keyframe_is_edited_on_all_its_frames(project, scene):
    """Also on those of a block without a keyframe, which begins with frame 48."""
    changes = edit(range=[44 / 24, 50 / 24], keyframes={"method": "adaptive"}, masks={"between": "flow"})
    ran = project(**changes)
    assert ran.status == 0, ran.text
    index = read_json(project / "keyframes/ball/index.json")
    assert (index["segments"], index["keyframes"]) == ([[44, 50]], ["000044"])
    before, after = streams.frames(project / "clip.mp4"), streams.frames(project / "out/ball.mp4")
    for i in range(60):
        changed = streams.changed(before[i][0], after[i][0])
        assert changed[scene.labels(i) == 1].mean() > 0.8 if 44 <= i <= 50 else not changed.any()
    assert np.mean([overlap(labels(project, i), scene.labels(i) == 1) for i in range(45, 51)]) > 0.95
    assert "Nothing to be done" in project("--dry-run", **changes).text
    ran = project("masks_video", **edit(**changes["videos"]["ball"] | {"masks": {"between": "segment"}}))
    assert ran.status == 0, ran.text
    assert np.mean([overlap(labels(project, i), scene.labels(i) == 1) for i in range(45, 51)]) > 0.9


def test_the_result_changes_inside_the_feathered_masks_and_nowhere_else(finished, scene):
    before, after = streams.frames(finished / "clip.mp4"), streams.frames(finished / "out/ball.mp4")
    for i in (10, 30, 50):
        mask = scene.labels(i) == 1
        y, x = np.indices(mask.shape)
        rows, columns = np.nonzero(mask)
        near = np.min((y[..., None] - rows) ** 2 + (x[..., None] - columns) ** 2, axis=-1) < 7**2  # feather: 6
        assert not streams.changed(before[i][0], after[i][0])[~near].any()
        assert streams.changed(before[i][0], after[i][0])[mask].mean() > 0.8
