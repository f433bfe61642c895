"""The main job, from a clip to a clip."""

import shutil
import time

import numpy as np

import streams
from clevam.files import read_json
from conftest import edit


def test_the_result_has_the_sources_frames_and_their_times(finished):
    assert streams.times(finished / "out/ball.mp4") == streams.times(finished / "clip.mp4")
    assert len(streams.times(finished / "out/ball.mp4")) == 60


def test_the_result_lasts_as_long_as_the_source(finished):
    assert streams.duration(finished / "out/ball.mp4") == streams.duration(finished / "clip.mp4")


def test_the_result_has_the_sources_sound_packet_by_packet(finished):
    assert streams.packets(finished / "out/ball.mp4", "audio") == streams.packets(finished / "clip.mp4", "audio")


def test_the_result_is_tagged_as_the_source(finished):
    assert streams.tags(finished / "out/ball.mp4") == streams.tags(finished / "clip.mp4")


def test_keyframes_change_inside_the_feathered_mask_and_nowhere_else(finished, scene):
    before, after = streams.frames(finished / "clip.mp4"), streams.frames(finished / "out/ball.mp4")
    for i in (0, 20, 40, 59):
        mask = scene.labels(i) == 1
        y, x = np.indices(mask.shape)
        rows, columns = np.nonzero(mask)
        near = np.min((y[..., None] - rows) ** 2 + (x[..., None] - columns) ** 2, axis=-1) < 7**2  # feather: 6
        luma = streams.changed(before[i][0], after[i][0])
        assert not luma[~near].any()
        assert luma[mask].mean() > 0.8
        for plane in (1, 2):
            served = near[0::2, 0::2] | near[1::2, 0::2] | near[0::2, 1::2] | near[1::2, 1::2]
            assert not streams.changed(before[i][plane], after[i][plane])[~served].any()


def test_frames_between_change_around_the_object_and_nowhere_else(finished, scene):
    before, after = streams.frames(finished / "clip.mp4"), streams.frames(finished / "out/ball.mp4")
    motion = read_json(finished / "plan/ball.json")["motion"]
    for _, (first, last), (x, y, width, height) in motion:
        for i in range(first, last + 1):
            changed = streams.changed(before[i][0], after[i][0])
            assert changed[scene.labels(i) == 1].mean() > 0.7
            changed[max(y - 6, 0) : y + height + 6, max(x - 6, 0) : x + width + 6] = False
            assert not changed.any()


def test_frames_between_look_like_the_edited_keyframes_not_like_the_source(finished, scene):
    inside = [scene.labels(i) == 1 for i in range(41)]

    def colours(path):
        """Mean Y, U, V inside the object, per frame."""
        frames = zip(streams.frames(path), inside, strict=False)
        return np.array([[p[m[::s, ::s]].mean() for p, s in zip(f, (1, 2, 2), strict=True)] for f, m in frames])

    source, after = colours(finished / "clip.mp4"), colours(finished / "out/ball.mp4")
    for i in range(1, 40):
        a, share = i // 20 * 20, i % 20 / 20
        expected = (1 - share) * after[a] + share * after[a + 20]
        assert np.linalg.norm(after[i] - expected) < 0.2 * np.linalg.norm(source[i] - expected)


def test_a_second_run_has_nothing_to_do(finished):
    assert "Nothing to be done" in finished("--dry-run").text


def test_a_run_ends_with_its_last_job(project):
    (project / "out/ball.mp4").unlink()
    start = time.monotonic()
    ran = project("--max-jobs-per-timespan", "100/1m")  # for whose end Snakemake would wait
    assert ran.jobs == {"out": 1}, ran.text
    assert time.monotonic() - start < 40


def test_jobs_that_import_all_themselves_make_the_same(finished, project):
    for folder in ("edited", "work/edited", "out"):
        shutil.rmtree(project / folder)
    ran = project(runtime={"warm": False})
    assert ran.jobs["reference"] == 1 and ran.jobs["edit"] == 2, ran.text
    for path in ("edited/ball/000000.png", "edited/ball/000059.png", "out/ball.mp4"):
        assert (project / path).read_bytes() == (finished / path).read_bytes()


def test_an_object_outside_the_range_passes_through(project):
    ran = project("out/ball.mp4", **edit(range=[0.0, 0.5]))
    assert ran.status == 0, ran.text
    before, after = streams.frames(project / "clip.mp4"), streams.frames(project / "out/ball.mp4")
    same = [all(np.array_equal(a, b) for a, b in zip(*pair, strict=True)) for pair in zip(before, after, strict=True)]
    assert same == [False] * 13 + [True] * 47


def test_more_edits_of_a_clip_share_its_masks_and_motion(project):
    ran = project(**edit(edits={"moon": {"replace": "a white moon"}}))
    assert ran.status == 0, ran.text
    assert ran.jobs == {"reference": 1, "edit": 2, "edited": 4, "stretch": 1, "out": 1}
    assert (project / "out/ball.moon.mp4").read_bytes() != (project / "out/ball.mp4").read_bytes()
