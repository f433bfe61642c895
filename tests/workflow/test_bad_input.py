"""What users bring that is broken, damaged or oddly named: one clear line, and nothing lost."""

import os
from pathlib import Path

import av
import pytest
from PIL import Image

import clips
import streams
from clevam.errors import UserError
from clevam.files import read_json
from clevam.jobs import resolve
from conftest import Project

# All that a shell, Snakemake or YAML could take for something else, as far as the rule for names lets it through.
NAME = "it's 狗 x $(touch pwned) ; & `touch pwned` #%s!~[x]=,:@^+é"
FILE = f'in put/{NAME} "x" \\ *?<>|%03d.mp4'
PROMPT = 'it\'s "a" $(touch pwned) {wildcards.x} {input} {} {{ }} `touch pwned`\nnew: line\\ \t%s 狐 ' * 200
PROMPT = PROMPT[:10_000]
BOX = [8, 8, 40, 32]


def packets(path: Path, kind: str) -> list[av.Packet]:
    with av.open(str(path)) as container:
        return [packet for packet in container.demux(**{kind: 0}) if packet.size]


def errors(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("error:")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A clip with an odd name and one that is cut within a packet."""
    folder = tmp_path_factory.mktemp("bad") / "project"
    (folder / "in put").mkdir(parents=True)
    clip = clips.write_clip(folder / FILE, clips.moving_square(20), sound=True, g="5", sc_threshold="0")
    clips.remux(clip, folder / "cut.mp4", movflags="faststart")
    end = packets(folder / "cut.mp4", "video")[13]
    (folder / "cut.mp4").write_bytes((folder / "cut.mp4").read_bytes()[: end.pos + end.size // 2])
    return folder


@pytest.fixture(scope="module")
def ran(folder):
    """Both edited in one run: the project and what was said."""
    odd = {"path": FILE, "find": PROMPT[::-1], "replace": PROMPT, "box": BOX, "edit": {"negative": PROMPT}}
    odd["range"] = [0, 0.01]  # a single keyframe: the reference, and no other edit
    config = {
        "videos": {NAME: odd, "cut": {"path": "cut.mp4", "find": "it", "replace": "a star", "box": BOX}},
        "keyframes": {"every": 100},
        "edit": {"steps": 1},
        "encode": {"lossless": True, "preset": "ultrafast"},
    }
    project = Project(folder, config)
    said = project()
    assert said.status == 0, said.text
    return project, said.text


@pytest.fixture
def project(ran, tmp_path) -> Project:
    """A copy of the finished run."""
    return ran[0].copy(tmp_path / "project")


# ---- names and words -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["..", "a/b", "/a", "a\x00b", "a\x1bb", "a\x7f", "\x85a", "a\tb"])
def test_names_that_leave_the_folder_or_hold_control_characters_are_refused(name):
    with pytest.raises(UserError, match=r"config: videos\.?.*: a name may not be empty.* hold control characters or"):
        resolve({"videos": {name: {"path": "a.mp4", "find": "a", "replace": "b", "box": BOX}}})


def test_a_name_too_long_for_a_file_is_refused():
    video = {"path": "a.mp4", "find": "a", "replace": "b", "box": BOX}
    with pytest.raises(UserError, match=r"videos: 狗+: out/狗+ is too long for the name of a file; shorten it"):
        resolve({"videos": {"狗" * 80: video}})


def test_odd_names_and_words_go_through_the_whole_workflow(ran):
    project, _ = ran
    result = project / f"out/{NAME}.mp4"
    assert streams.times(result) == streams.times(project / FILE)
    assert streams.packets(result, "audio") == streams.packets(project / FILE, "audio")


def test_odd_words_change_the_box_and_nothing_else(ran):
    project, _ = ran
    before, after = streams.frames(project / FILE), streams.frames(project / f"out/{NAME}.mp4")
    changed = streams.changed(before[0][0], after[0][0])
    assert changed[8:32, 8:40].mean() > 0.8
    changed[1:39, 1:47] = False  # the box and the feather
    assert not changed.any()
    assert all(not streams.changed(b[0], a[0]).any() for b, a in zip(before[1:], after[1:], strict=True))


def test_no_word_is_run_or_filled_in(ran):
    project, _ = ran
    assert not list(project.folder.rglob("pwned"))
    job = read_json(project / "out/config.json")["jobs"][NAME]
    assert (job["replace"], job["edit"]["negative"]) == ([PROMPT], PROMPT)


# ---- damaged clips ---------------------------------------------------------------------------------------------


def test_a_damaged_clip_is_edited_as_far_as_it_goes(ran):
    project, _ = ran
    index = read_json(project / "keyframes/cut/index.json")
    assert (len(index["pts"]), index["keyframes"]) == (13, ["000000", "000012"])
    assert index["damage"] == {"last_good": 12 / 25, "reason": "a frame's data are incomplete, the file is cut off"}
    assert streams.times(project / "out/cut.mp4") == streams.times(project / FILE)[:13]


def test_a_damaged_clip_keeps_its_sound_as_far_as_it_goes(ran):
    project, _ = ran
    whole, kept = (streams.packets(project / p, "audio") for p in (FILE, "out/cut.mp4"))
    assert len(kept) > 10
    assert kept == whole[: len(kept)]


def test_damage_is_said_once_after_all_else_and_in_the_log_of_the_job(ran):
    project, text = ran
    warning = "warning: cut.mp4: damaged after 0.480 s: a frame's data are incomplete, the file is cut off"
    assert text.count("damaged after") == 1
    assert warning in text.split("(100%) done")[1]
    assert warning in (project / "logs/keyframes/cut.log").read_text()


def test_damage_is_said_again_by_a_run_that_uses_the_clip_and_not_by_another(project):
    (project / "out/cut.mp4").unlink()
    (project / f"out/{NAME}.mp4").unlink()
    assert project("out/cut.mp4").text.count("warning: cut.mp4: damaged after") == 1
    assert "damaged" not in project(f"out/{NAME}.mp4").text


def test_a_damaged_clip_stops_the_run_where_that_is_asked_for(project):
    said = project(videos={"cut": {"strict": True}})
    assert said.status != 0
    (error,) = errors(said.text)
    assert error.startswith(
        "error: cut.mp4: damaged after 0.480 s: a frame's data are incomplete, the file is cut off;"
    )
    assert "Traceback" not in said.text
    assert (project / "out/cut.mp4").exists()


# ---- what is no video ------------------------------------------------------------------------------------------


def test_what_is_no_video_is_told_in_one_line_each_and_leaves_nothing(tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty.mp4").touch()
    clips.write_sound(tmp_path / "sound.mp4")
    clip = clips.write_clip(tmp_path / "clip.mp4", clips.moving_square(5))
    (tmp_path / "moov.mp4").write_bytes(clip.read_bytes()[:-500])
    fragments = clips.remux(clip, tmp_path / "f.mp4", movflags="frag_keyframe+empty_moov").read_bytes()
    (tmp_path / "frames.mp4").write_bytes(fragments[: fragments.index(b"moof") - 4])
    expected = {
        "text": "not a video that can be read (",
        "empty": "not a video that can be read (",
        "sound": "there is no picture in this file, only sound or data",
        "moov": "not a video that can be read (",
        "frames": "no frame can be decoded",
    }
    rest = {"find": "a", "replace": "b", "box": BOX}
    said = Project(tmp_path, {"videos": {name: rest | {"path": f"{name}.mp4"} for name in expected}})()
    assert said.status != 0
    found = sorted(errors(said.text))
    assert len(found) == len(expected)
    for line, (name, reason) in zip(found, sorted(expected.items()), strict=True):
        assert line.startswith(f"error: {name}.mp4: {reason}")
    assert "its index (moov) is missing" in found[sorted(expected).index("moov")]
    assert "Traceback" not in said.text
    assert [p for p in tmp_path.glob("keyframes/*/*")] == []
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["config.json"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("gone.mp4", "there is no gone.mp4"),
        ("folder", "folder is a folder; give the video in it"),
        ("{a}.mp4", "{a}.mp4: Snakemake takes braces in a path for a wildcard; rename it"),
        ("pipe", "pipe is a pipe or a device; give a file"),
        ("loop", "there is no loop"),
        ("a" * 300, "there is no aaa"),
    ],
)
def test_a_path_that_is_no_file_stops_the_run_with_one_line(tmp_path, path, message):
    (tmp_path / "folder").mkdir()
    (tmp_path / "{a}.mp4").touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    said = Project(tmp_path, {"videos": {"v": {"path": path, "find": "a", "replace": "b", "box": BOX}}})()
    assert said.status == 1
    (error,) = errors(said.text)
    assert error.startswith(f"error: videos.v.path: {message}")
    assert "Traceback" not in said.text


def test_a_clip_that_breaks_takes_no_result_away_and_mended_it_is_not_edited_again(project):
    before = (project / f"out/{NAME}.mp4").read_bytes()
    (project / FILE).rename(project / "good.mp4")
    (project / FILE).write_text("no video")
    said = project()
    assert said.status != 0
    assert errors(said.text)[0].startswith(f"error: {FILE}: not a video that can be read")
    assert (project / f"out/{NAME}.mp4").read_bytes() == before
    (project / "good.mp4").replace(project / FILE)
    said = project()
    assert said.status == 0, said.text
    assert said.jobs == {"keyframes": 1}
    assert (project / f"out/{NAME}.mp4").read_bytes() == before


def test_a_clip_beyond_a_limit_is_refused_and_what_was_made_within_others_stays(project):
    before = (project / f"out/{NAME}.mp4").read_bytes()
    long = {"path": "cut.mp4", "find": "it", "replace": "a star", "box": BOX}
    said = project(videos={"long": long}, limits={"frames": 12})
    assert said.status != 0
    assert errors(said.text) == [
        "error: cut.mp4: goes on beyond limits.frames, 12: give a part of it, or raise limits.frames"
    ]
    assert (project / f"out/{NAME}.mp4").read_bytes() == before
    assert (project / "out/cut.mp4").exists()


# ---- masks and the machine -------------------------------------------------------------------------------------


def test_masks_of_another_size_are_told_in_one_line(project):
    (project / "masks_here").mkdir()
    for name in ("000000", "000012"):
        Image.new("L", (32, 32), 255).save(project / f"masks_here/{name}.png")
    said = project("out/cut.mp4", videos={"cut": {"masks": {"method": "files", "path": "masks_here"}}})
    assert said.status != 0
    assert errors(said.text) == ["error: masks.path: the mask of frame 0 is 32x32; make it 64x48, as the video"]
    assert (project / "out/cut.mp4").exists()


def test_a_gpu_that_is_not_there_is_told_in_one_line(project, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    said = project("out/cut.mp4", videos={"cut": {"replace": "a moon"}}, runtime={"device": "cuda"})
    assert said.status != 0
    (error,) = errors(said.text)
    assert error.startswith("error: runtime.device: cuda, but this machine has no usable CUDA device")
    assert "Traceback" not in said.text
    assert (project / "out/cut.mp4").exists()
