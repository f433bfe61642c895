"""What changes run in real stages, and what comes of it. (test_rerun.py holds which jobs run after every change.)"""

import os
import shutil

import numpy as np
from PIL import Image

import clips
from clevam.files import read_json
from conftest import Project, edit

RAFT = "demo/models/segmentation/weights.pth"  # any file: a plan does not load it
OUT = {"stretch": 1, "out": 1}
EDIT = {"reference": 1, "edit": 2, "edited": 4} | OUT
EDGES = {
    "models": {"controls": {"edges": "demo/models/diffusion/unet"}},  # any folder
    "edit": {"control": [{"model": "edges"}]},
}


def test_maps_are_asked_for_by_name_and_one_that_changes_runs_its_block(project):
    maps = EDGES | {"edit": {"control": [{"model": "edges", "maps": "depth"}]}}
    assert "edit.control.maps: there is no depth/000000.png" in project("--dry-run", **maps).text
    (project / "depth").mkdir()
    for name in ("000000", "000020", "000040", "000059"):
        shutil.copy(project / "keyframes" / "ball" / f"{name}.png", project / "depth" / f"{name}.png")
    assert project.plan(**maps) == EDIT


def test_the_diffusion_model_finds_a_by_itself(project):
    by_itself = edit(masks={"method": "attention", "path": None})
    ran = project("masks/ball/masks.json", **by_itself)
    assert ran.status == 0, ran.text
    assert ran.jobs == {"attributed": 2, "choose": 1}
    told = read_json(project / "masks/ball/masks.json")
    assert {region["find"] for region in told["regions"]} == {"the red circle"}
    assert any(entry["chosen"] for entries in told["keyframes"].values() for entry in entries)


def test_pictures_of_b_run_the_edit_and_another_one_in_its_place_does_so_again(project):
    viewer = {"models": {"subject": {"weights": RAFT, "encoder": "demo/models/diffusion/unet"}}}  # any
    assert project.plan(**viewer) == {}
    Image.new("RGBA", (8, 8), (255, 0, 0, 128)).save(project / "star.png")
    shown = viewer | edit(subject={"images": ["star.png"]})
    assert project.plan(**shown) == {"subjects": 1} | EDIT
    ran = project("subjects/ball", **shown)
    assert ran.status == 0, ran.text
    assert np.asarray(Image.open(project / "subjects/ball/1_01.png")).shape == (10, 10, 3)
    assert project.plan(**viewer, **edit(subject={"images": ["star.png"], "scale": 0.5})) == EDIT
    Image.new("RGBA", (8, 8), (0, 255, 0, 128)).save(project / "star.png")
    os.utime(project / "star.png", (0, 0))
    assert project.plan(**shown) == {"subjects": 1} | EDIT
    assert (
        "videos.ball.subject.images: there is no owl.png"
        in project("--dry-run", **viewer, **edit(subject={"images": ["owl.png"]})).text
    )


def test_a_painted_keyframe_runs_its_copy_and_out_and_is_in_the_result(project):
    painted = np.zeros((96, 160, 3), np.uint8)
    painted[..., 0] = 255
    folder = project / "edited_override/ball"
    folder.mkdir(parents=True)
    Image.fromarray(painted).save(folder / "000020.png")
    ran = project()
    assert ran.status == 0, ran.text
    assert ran.jobs == {"edited": 1} | OUT
    assert (project / "edited/ball/000020.png").read_bytes() == (folder / "000020.png").read_bytes()
    assert "Nothing to be done" in project("--dry-run").text


def test_a_stretch_waits_for_the_keyframes_and_blocks_that_are_seen_in_it_and_no_others(tmp_path):
    """Frames 238 to 246 are edited, of which the second stretch has those from 240."""
    video = {"path": "clip.mp4", "find": "it", "replace": "a star", "box": [8, 8, 40, 40], "range": [9.52, 9.84]}
    film = Project(tmp_path, {"videos": {"film": video}, "keyframes": {"every": 4}})
    clips.write_clip(film / "clip.mp4", clips.moving_square(500))
    assert film("plan/film.json").status == 0
    wanted = [film("--dry-run", f"work/out/film/{stretch:04d}.nut").jobs for stretch in range(3)]
    seen = [(jobs["edited"], jobs["flow"], jobs["carried"], jobs["stretch"]) for jobs in wanted]
    # Keyframes 238, 242 and 246, of which the first stretch has one, and frames that move to the next
    assert seen == [(2, 1, 1, 1), (3, 1, 1, 1), (0, 0, 0, 1)]


def test_a_painted_mask_that_changes_no_plan_runs_its_block_only(project):
    mask = np.asarray(Image.open(project / "masks/ball/000020.png")).copy()
    rows, columns = np.nonzero(mask)
    mask[rows[len(rows) // 2], columns[len(rows) // 2]] = 0  # a hole: the box around A stays
    folder = project / "masks_override/ball"
    folder.mkdir(parents=True)
    Image.fromarray(mask).save(folder / "000020.png")
    ran = project()
    assert ran.status == 0, ran.text
    assert ran.jobs == {"mask": 1, "plan": 1, "invert": 1, "edit": 1, "edited": 3} | OUT


def test_a_sweep_edits_what_it_tries_once_and_asks_for_nothing_else(project):
    """Every trial is an edit like any other: it shares what it does not change."""
    sweep = {"sweep": {"edit.seed": [0, 1]}}
    assert project.plan(**sweep) == {}
    paint = {"reference": 1, "edit": 2, "edited": 4}
    ran = project("sweep", **sweep)
    assert ran.status == 0, ran.text
    assert ran.jobs == {rule: 2 * count for rule, count in paint.items()} | {"trials": 1, "sweep": 1}
    table = (project / "sweep/ball/table.tsv").read_text().splitlines()
    assert [line.split("\t")[0] for line in table] == ["edit.seed", "0", "1"]
    assert np.asarray(Image.open(project / "sweep/ball/sheet.png")).shape[1] > 300
    more = {"sweep": {"edit.seed": [0, 1, 2]}}
    assert project("--dry-run", "sweep", **more).jobs == paint | {"trials": 1, "sweep": 1}
    assert "sweep: nothing to try; name keys and values" in project("sweep").text


def test_keyframes_that_look_at_those_before_them_follow_them(project):
    chain = {"edit": {"share": {"previous": 1}}}
    ran = project(**chain)
    assert ran.status == 0, ran.text
    assert ran.jobs == EDIT
    assert "Nothing to be done" in project("--dry-run", **chain).text
    mask = np.asarray(Image.open(project / "masks/ball/000020.png")).copy()
    rows, columns = np.nonzero(mask)
    mask[rows[len(rows) // 2], columns[len(rows) // 2]] = 0  # a hole: the box around A stays
    (project / "masks_override/ball").mkdir(parents=True)
    Image.fromarray(mask).save(project / "masks_override/ball/000020.png")
    again = project(**chain)
    assert again.status == 0, again.text
    assert again.jobs == {"mask": 1, "plan": 1, "invert": 1, "edit": 2, "edited": 4} | OUT


def test_a_dropped_keyframe_disturbs_its_block_only(project):
    """Keyframes 0, 20, 40, 59 become 0, 30, 59; the reference, 0, is in the first block, and the scale stays."""
    still = edit(box=[40, 20, 90, 70], masks={"method": "box"})
    assert project(**still).status == 0
    ran = project(**still, keyframes={"every": 30})
    assert ran.status == 0, ran.text
    assert (ran.jobs["reference"], ran.jobs["invert"], ran.jobs["edit"]) == (0, 1, 1)


def test_a_video_that_cannot_be_read_does_not_keep_the_others_waiting(project):
    (project / "text.mp4").write_text("no video")
    bad = {"path": "text.mp4", "find": "a", "replace": "b", "box": [0, 0, 9, 9]}
    ran = project(videos={"aaa": bad}, encode={"preset": "superfast"})
    assert ran.status != 0
    assert "error: text.mp4: not a video that can be read" in ran.text
    assert ran.jobs == OUT


def test_a_failure_leaves_no_stale_result_even_if_only_the_result_is_asked_for(project):
    folder = project / "masks_override/ball"
    folder.mkdir(parents=True)
    mask = np.asarray(Image.open(project / "masks/ball/000020.png").convert("L")).copy()
    rows, columns = np.nonzero(mask)
    mask[rows[len(rows) // 2], columns[len(rows) // 2]] = 0
    Image.fromarray(mask).save(folder / "000020.png")
    step = project / "edited/ball/reference/step_000.pt"
    away = step.rename(project / "away.pt")
    assert "step_000.pt: missing or damaged; delete" in project("out/ball.mp4").text
    away.rename(step)
    assert project("out/ball.mp4").jobs["edit"] == 1


def test_a_job_that_failed_once_after_a_change_leaves_no_stale_result(project):
    """The device is asked for at run time and recorded nowhere: only the failure itself can be remembered."""
    before = (project / "out/ball.mp4").read_bytes()
    change = edit(replace="a yellow moon")
    failed = project(**change, runtime={"device": "cuda"})
    assert failed.status != 0
    assert (
        "error: runtime.device: cuda, but this machine has no usable CUDA device; set it to auto or cpu" in failed.text
    )
    again = project(**change)
    assert again.status == 0, again.text
    assert again.jobs == EDIT
    assert (project / "out/ball.mp4").read_bytes() != before
    assert "Nothing to be done" in project("--dry-run", **change).text
