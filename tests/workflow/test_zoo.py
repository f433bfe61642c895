"""Videos of every kind, odd or damaged: each comes out right, or is refused in one line that says why.

Each goes through the library in the environments of the stages `keyframes` and `out`, in a process of its own whose
time and memory are watched (tests/zoo_stages.py). Every frame is a keyframe, into which a box of ink is painted.
"""

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

import zoo
from clevam.files import read_json
from conftest import CONFIG, ROOT, Project

MEMORY = 400  # MB that reading and writing a small video may take
PIXELS = 2_000_000  # of a frame, at most: the zoo's are small
KINDS = {kind.name: kind for kind in zoo.KINDS}
FLIPPED = (
    "sound.mp4", "sound.mkv", "sound.ts", "hevc.mp4", "vp9.webm", "av1.mp4", "prores.mov", "ffv1.mkv", "mpeg4.avi",
    "gif.gif",
)  # fmt: skip


class Stages:
    """The two environments; each answers questions about one file after the other."""

    def __init__(self, folder: Path) -> None:
        targets = {name: f"work/environments/{name}.json" for name in ("keyframes", "out")}
        project = Project(folder, CONFIG)  # in a folder of its own: one run at a time works in one
        ran = project(*targets.values())
        assert ran.status == 0, ran.text
        prefixes = {name: Path(read_json(project / target)["prefix"]) for name, target in targets.items()}
        (ffmpeg,) = prefixes["out"].glob("lib/python*/site-packages/imageio_ffmpeg/binaries/ffmpeg*")
        self.ffmpeg = str(ffmpeg)
        self.running = {name: self._start(prefix) for name, prefix in prefixes.items()}

    def _start(self, prefix: Path) -> subprocess.Popen:
        environ = os.environ | {"PYTHONPATH": str(ROOT / "scripts"), "OMP_NUM_THREADS": "1"}
        command = [prefix / "bin" / "python", ROOT / "tests" / "zoo_stages.py"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        return subprocess.Popen(command, env=environ, text=True, **pipes)

    def close(self) -> None:
        for process in self.running.values():
            process.communicate()

    def _ask(self, stage: str, **question: object) -> str | None:
        process = self.running[stage]
        process.stdin.write(json.dumps(question) + "\n")
        process.stdin.flush()
        told = json.loads(process.stdout.readline())
        assert told["crash"] is None, f"{question['path']}: {told['crash']}"
        assert told["mb"] < MEMORY, f"{question['path']}: took {told['mb']} MB; {told['error']}"
        assert told["error"] is None or "\n" not in told["error"]
        return told["error"]

    def __call__(self, path: Path, container: str = "mp4") -> str | None:
        """Edit a video; the error, if it is refused. What comes of it is in its folder."""
        folder = str(path.parent)
        limits = {"frames": 1000, "seconds": 1000, "pixels": PIXELS}
        error = self._ask("keyframes", do="index", path=str(path), folder=folder, limits=limits)
        return error or self._ask("out", do="film", path=str(path), folder=folder, container=container)


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    stages = Stages(tmp_path_factory.mktemp("stages"))
    yield stages
    stages.close()


@pytest.fixture
def made(stages, tmp_path):
    """A function that makes a video of a kind, by name."""
    return lambda name: zoo.make(KINDS[name], tmp_path, stages.ffmpeg)


def frames(path: Path) -> list[av.VideoFrame]:
    cover = av.stream.Disposition.attached_pic
    with av.open(str(path), metadata_errors="replace") as container:
        stream = next(s for s in container.streams.video if not s.disposition & cover)
        return [
            frame
            for packet in container.demux(stream)
            if packet.size or not packet.dts
            for frame in stream.decode(packet)
        ]


def times(path: Path) -> list[Fraction]:
    return [frame.pts * frame.time_base for frame in frames(path)]


def sounds(path: Path) -> list[list[bytes]]:
    """The packets of every sound track."""
    with av.open(str(path), metadata_errors="replace") as container:
        numbers = [stream.index for stream in container.streams.audio]
    tracks = []
    for number in numbers:
        with av.open(str(path), metadata_errors="replace") as container:
            tracks.append([bytes(packet) for packet in container.demux(container.streams[number]) if packet.size])
    return tracks


def others(path: Path) -> tuple[int, int]:
    """How many subtitle tracks there are, and chapters."""
    with av.open(str(path), metadata_errors="replace") as container:
        return len(container.streams.subtitles), len(container.chapters())


def right(source: Path, result: Path, error: float = 25) -> None:
    """The result has the source's frames, times and other streams; in the box is ink, elsewhere what was there."""
    before, after = frames(source), frames(result)
    assert [f.pts * f.time_base for f in after] == [f.pts * f.time_base for f in before]
    for track, copy in zip(sounds(source), sounds(result), strict=True):
        # But for the header that a packet has in MPEG-TS
        assert all(one.endswith(other) and len(one) <= len(other) + 9 for one, other in zip(track, copy, strict=True))
    assert others(result) == others(source)
    for one, other in zip(before, after, strict=True):
        assert (other.width, other.height, other.rotation) == (one.width, one.height, one.rotation)
        changed, kept = (np.float32(frame.to_ndarray(format="rgb24")) for frame in (other, one))
        height, width = changed.shape[:2]
        rows, columns = (slice(n // 4 + 4, n * 3 // 4 - 4) for n in (height, width))
        if changed[rows, columns].size:
            assert np.abs(changed[rows, columns] - [255, 0, 255]).mean() < error
            changed[height // 4 - 2 : height * 3 // 4 + 2, width // 4 - 2 : width * 3 // 4 + 2] = kept[
                height // 4 - 2 : height * 3 // 4 + 2, width // 4 - 2 : width * 3 // 4 + 2
            ]
            assert np.abs(changed - kept).mean() < error


# ---- kinds -----------------------------------------------------------------------------------------------------------


def test_there_are_at_least_sixty_kinds_each_of_its_own_name():
    assert len(KINDS) == len(zoo.KINDS) > 60


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_comes_out_right_or_is_refused_in_one_line(stages, made, name):
    kind, path = KINDS[name], made(name)
    error = stages(path, kind.container)
    if kind.error:
        assert error.startswith((f"{path}: {kind.error}", kind.error))
        return
    assert error is None
    index = read_json(path.with_name("index.json"))
    assert (len(index["pts"]), index["damage"]) == (kind.frames or kind.made, None)
    right(path, path.with_name(f"out.{kind.container}"))


@pytest.mark.parametrize("name", ["raw.h264", "missing.avi"])
def test_a_clip_without_times_is_mended_by_the_command_in_the_refusal(stages, made, name):
    path = made(name)
    path = path.rename(path.with_name(f"it's {name}"))
    program, *arguments = shlex.split(re.search("`(.+)`", stages(path))[1])
    assert program == "ffmpeg"
    subprocess.run([stages.ffmpeg, "-loglevel", "error", *arguments], cwd=path.parent, check=True)
    mended = path.with_name("new.mkv")
    assert stages(mended) is None
    assert len(read_json(path.with_name("index.json"))["pts"]) == KINDS[name].made
    right(mended, path.with_name("out.mp4"))


def test_a_clip_whose_frames_change_their_size_is_refused_and_mended_by_the_command(stages, tmp_path):
    for size in ("64x48", "32x32"):
        zoo.run(stages.ffmpeg, tmp_path, f"-f lavfi -i testsrc2=s={size}:r=25 {zoo.H264} -frames:v 4 {size}.h264")
    path = tmp_path / "sizes.ts"
    (tmp_path / "both.h264").write_bytes(b"".join((tmp_path / f"{s}.h264").read_bytes() for s in ("64x48", "32x32")))
    zoo.run(stages.ffmpeg, tmp_path, f"-fflags +genpts -i both.h264 -c copy {path.name}")
    error = stages(path)
    assert error.startswith(f"{path}: frame 4 is of another size or format than the first; make them one: `ffmpeg ")
    _, *arguments = shlex.split(re.search("`(.+)`", error)[1])
    subprocess.run([stages.ffmpeg, "-loglevel", "error", *arguments], cwd=tmp_path, check=True)
    assert stages(tmp_path / "new.mkv") is None
    assert len(read_json(tmp_path / "index.json")["pts"]) == 8


def test_tags_in_no_encoding_that_is_known_do_no_harm(stages, made):
    path = made("tagged.mkv")
    path.write_bytes(path.read_bytes().replace(b"A title", b"\xe9 title"))
    assert stages(path) is None
    right(path, path.with_name("out.mp4"))


# ---- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["狗→狐 é 🦊.mp4", "x" * 251 + ".mp4", "狗" * 83 + ".mp4x.", "-i.mp4", "a\nb;$(id)'\".mp4", "concat:a|b"]
)
def test_any_name_will_do(stages, made, name):
    path = made("sound.mp4")
    path = path.rename(path.with_name(name))
    assert stages(path) is None
    right(path, path.with_name("out.mp4"))


def test_a_link_will_do(stages, made):
    path = made("sound.mp4")
    path.with_name("link").symlink_to(path.name)
    assert stages(path.with_name("link")) is None


# ---- what is no video ------------------------------------------------------------------------------------------------


def no_file(path: Path, kind: str) -> None:
    if kind == "socket":
        with socket.socket(socket.AF_UNIX) as one:
            os.chdir(path.parent)  # its path may have 108 bytes
            one.bind(path.name)
    else:
        {
            "folder": path.mkdir,
            "pipe": lambda: os.mkfifo(path),
            "loop": lambda: path.symlink_to(path.name),
            "dangling": lambda: path.symlink_to("nowhere"),
            "device": lambda: path.symlink_to("/dev/zero"),
            "terminal": lambda: path.symlink_to("/dev/tty"),
        }[kind]()


@pytest.mark.parametrize("kind", ["folder", "pipe", "loop", "dangling", "device", "terminal", "socket"])
def test_what_is_no_file_is_refused_and_not_waited_for(stages, tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "clip.mp4"
    no_file(path, kind)
    reasons = {"loop": "not a video that can be read (Too many levels of symbolic links)", "dangling": "no such file"}
    other = "not a video that can be read (it is a folder, a pipe or a device)"
    assert stages(path) == f"{path}: {reasons.get(kind, other)}"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"\0" * 100_000,
        b"no video\n" * 200,
        b"\x1b[31m" * 200,
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.4\n",
        b"#!/bin/sh\ntouch pwned\n",
        b"PK\3\4" + b"\0" * 500,
        b"RIFF\xff\xff\xff\xffAVI LIST",
    ],
    ids=["empty", "zero", "zeros", "text", "terminal", "svg", "pdf", "script", "zip", "avi"],
)
def test_what_holds_no_video_is_refused(stages, tmp_path, data):
    path = tmp_path / "clip.mp4"
    path.write_bytes(data)
    assert stages(path).startswith(f"{path}: not a video that can be read (")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.mp4", "ffconcat version 1.0\nfile inner.ts\n"),
        ("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\ninner.ts\n#EXT-X-ENDLIST\n"),
        ("stream.sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 33\n"),
        ("a%03d.png", ""),
    ],
    ids=["concat", "hls", "sdp", "pattern"],
)
def test_a_video_names_no_other_file_to_be_read(stages, tmp_path, name, text):
    """All but the last would be opened by ffmpeg, which knows them by what they say."""
    zoo.make(replace(KINDS["h264.ts"], name="inner.ts"), tmp_path, stages.ffmpeg)
    shutil.copy(tmp_path / "inner.ts", tmp_path / "a001.png")
    (tmp_path / name).write_text(text)
    assert stages(tmp_path / name).startswith(f"{tmp_path / name}: not a video that can be read (")


# ---- what is too large -----------------------------------------------------------------------------------------------


def test_more_frames_or_seconds_than_allowed_are_refused_before_all_are_read(stages, tmp_path):
    zoo.run(stages.ffmpeg, tmp_path, "-f lavfi -i color=s=16x16:r=1000 -frames:v 1100 -c:v libx264 many.mp4")
    zoo.run(stages.ffmpeg, tmp_path, "-f lavfi -i color=s=16x16:r=1/600 -frames:v 3 -c:v libx264 long.mp4")
    assert stages(tmp_path / "many.mp4").endswith(
        "many.mp4: goes on beyond limits.frames, 1,000: give a part of it, or raise limits.frames"
    )
    assert stages(tmp_path / "long.mp4").endswith(
        "long.mp4: goes on beyond limits.seconds, 1,000: give a part of it, or raise limits.seconds"
    )


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("raw.y4m", b"W64 H48", b"W10000 H10000"),
        ("gif.gif", b"GIF89a\x40\0\x30\0", b"GIF89a\x10\x27\x10\x27"),
        ("picture.png", b"IHDR\0\0\0\x40\0\0\0\x30", b"IHDR\0\0\x27\x10\0\0\x27\x10"),
    ],
    ids=["y4m", "gif", "png"],
)
def test_a_frame_larger_than_allowed_is_refused_before_it_is_decoded(stages, made, name, old, new):
    path = made(name)
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))
    assert stages(path) == (
        f"{path}: a frame has 100,000,000 pixels, limits.pixels is 2,000,000: scale the video down, or raise the limit"
    )


def test_a_frame_that_is_shown_larger_than_allowed_is_refused(stages, tmp_path):
    zoo.run(
        stages.ffmpeg,
        tmp_path,
        f"-f lavfi -i testsrc2=s=320x240 -vf setsar=200:max=1000 {zoo.H264} -frames:v 2 wide.mp4",
    )
    assert "pixels, limits.pixels is 2,000,000" in stages(tmp_path / "wide.mp4")


# ---- damage ----------------------------------------------------------------------------------------------------------


def outcome(stages: Stages, path: Path, data: bytes) -> str:
    """What becomes of a file: `refused`, `whole`, or `damaged` where a part of it is edited."""
    path.write_bytes(data)
    error = stages(path)
    if error is not None:
        assert error.startswith((f"{path}: ", "encode.container: ", "encode: "))
        return "refused"
    index = read_json(path.with_name("index.json"))
    base = Fraction(*index["stream"]["time_base"])
    first = min(index["pts"][0], 0)
    assert times(path.with_name("out.mp4")) == [(pts - first) * base for pts in index["pts"]]
    return "damaged" if index["damage"] else "whole"


@pytest.mark.parametrize("name", ["sound.mp4", "sound.mkv", "sound.ts"])
def test_a_file_that_is_cut_off_anywhere_is_edited_as_far_as_it_goes_and_said_to_be_damaged(
    stages, made, tmp_path, name
):
    data = made(name).read_bytes()
    found = [outcome(stages, tmp_path / name, piece) for piece in zoo.cut(data, 20)]
    assert found[0] == "refused"
    assert found[-1] == "damaged"
    edited = found.index("damaged")
    assert set(found[:edited]) == {"refused"}
    # Where a transport stream is cut between two frames, nothing tells that there were more.
    assert set(found[edited:]) <= {"damaged", "whole"} if name == "sound.ts" else {"damaged"}


@pytest.mark.parametrize("name", FLIPPED)
def test_a_file_with_wrong_bits_is_edited_or_refused(stages, made, tmp_path, name):
    copies = zoo.flipped(made(name).read_bytes(), count=20, seed=7)
    found = Counter(outcome(stages, tmp_path / name, copy) for copy in copies)
    assert found["refused"] < len(copies)
