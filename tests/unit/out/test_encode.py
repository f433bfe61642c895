"""The result's file: the frames that were given, and everything else as in the source."""

import hashlib
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg
import pytest

from clevam import video
from clevam.encode import encoder
from clevam.errors import UserError
from clevam.files import replacing
from clevam.join import join
from clips import decode, moving_square, noise, remux, write_clip

LOSSLESS = {"codec": "libx264", "crf": 18.0, "preset": "ultrafast", "lossless": True}
SRT = "1\n00:00:00,000 --> 00:00:00,200\nHello\n\n2\n00:00:00,240 --> 00:00:00,400\nthere\n\n"


def encode(source: Path, target: Path, stretch: int = 4, frames: list | None = None, **settings) -> Path:
    """Write the source's frames as they are, in stretches of so many, and join them; frames: those of a damaged one."""
    facts, damage = video.probe(source), {"reason": "cut off"} if frames else None
    frames = frames or [frame for _, frame in video.frames(source)]
    stretches = []
    for start in range(0, len(frames), stretch):
        stretches.append(str(target.with_suffix(f".{start}.nut")))
        with replacing(stretches[-1]) as part, encoder(part, facts, LOSSLESS | settings) as write:
            for frame in frames[start : start + stretch]:
                write(video.to_frame(video.planes(frame, facts), facts, frame.pts))
    index = {"stream": facts, "pts": [frame.pts for frame in frames], "damage": damage}
    join(stretches, str(target), source=str(source), index=index)
    return target


def planes_of(path: Path) -> list[bytes]:
    facts = video.probe(path)
    return [p.tobytes() for frame in decode(path) for p in video.planes(frame, facts)]


def times(path: Path) -> list[Fraction]:
    return [frame.pts * frame.time_base for frame in decode(path)]


def packets(path: Path, kind: str) -> list[tuple[Fraction, str]]:
    """(time in seconds, digest) of every packet of every stream of a kind; the file is opened afresh for each."""
    with av.open(str(path)) as container:
        numbers = [s.index for s in container.streams if s.type == kind]
    found = []
    for number in numbers:
        with av.open(str(path)) as container:
            demuxed = [p for p in container.demux(container.streams[number]) if p.size]
            found += [(p.pts * p.time_base, hashlib.sha256(bytes(p)).hexdigest()) for p in demuxed]
    return found


def ffmpeg(*arguments: str | Path) -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-nostdin", "-y"]
    subprocess.run([*command, *map(str, arguments)], check=True)


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    return write_clip(tmp_path_factory.mktemp("encode") / "clip.mp4", moving_square(10), sound=True)


# ---- samples -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "codec, pix_fmt, full_range",
    [(c, p, False) for c in ("libx264", "libx265", "ffv1") for p in ("yuv420p", "yuv444p", "yuv422p10le")]
    + [(c, "yuv420p", True) for c in ("libx264", "libx265")],
)
def test_lossless_frames_come_back_as_the_same_planes(tmp_path, codec, pix_fmt, full_range):
    frames = noise(pix_fmt, (64, 48), count=3)
    source = write_clip(tmp_path / "a.mkv", frames, codec="ffv1", pix_fmt=pix_fmt, full_range=full_range)
    result = encode(source, tmp_path / "out.mp4", codec=codec)
    assert planes_of(result) == [p.tobytes() for frame in frames for p in frame]
    assert video.probe(result)["full_range"] == full_range


@pytest.mark.parametrize("codec, pix_fmt, full_range", [("libx264", "yuv440p", False), ("ffv1", "yuv420p", True)])
def test_what_the_codec_cannot_hold_is_refused_rather_than_converted(tmp_path, codec, pix_fmt, full_range):
    frames = noise(pix_fmt, (64, 48))
    source = write_clip(tmp_path / "a.mkv", frames, codec="ffv1", pix_fmt=pix_fmt, full_range=full_range)
    with pytest.raises(UserError, match=f"could not write {pix_fmt} by {codec}"):
        encode(source, tmp_path / "out.mp4", codec=codec)


def test_a_higher_crf_gives_a_smaller_file(clip, tmp_path):
    sizes = [encode(clip, tmp_path / f"{crf}.mp4", lossless=False, crf=crf).stat().st_size for crf in (10.0, 40.0)]
    assert sizes[0] > sizes[1] + 1000


# ---- times -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, time_base, pts",
    [
        ("ntsc.mp4", Fraction(1, 30000), [0, 1001, 2002, 3003, 4004]),
        ("variable.mp4", Fraction(1, 90000), [0, 3003, 4000, 90001, 90002]),
        ("late.mp4", Fraction(1, 12800), [6400, 6912, 7424, 7936, 8448]),
        ("milliseconds.mkv", Fraction(1, 1000), [7, 40, 74, 107, 1140]),
    ],
)
def test_every_frame_is_shown_at_the_sources_time(tmp_path, name, time_base, pts):
    source = write_clip(tmp_path / name, moving_square(5), pts=pts, time_base=time_base)
    assert times(encode(source, tmp_path / "out.mp4")) == [p * time_base for p in pts]


def test_b_frames_do_not_shift_times(tmp_path, clip):
    result = encode(clip, tmp_path / "out.mp4", lossless=False, preset="slow")
    assert any(frame.pict_type == av.video.frame.PictureType.B for frame in decode(result))
    assert times(result) == times(clip)


# ---- tags --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_rotation_is_kept_as_a_tag(tmp_path, rotation):
    source = write_clip(tmp_path / "a.mp4", moving_square(2), rotation=rotation)
    facts = video.probe(encode(source, tmp_path / "out.mp4"))
    assert (facts["rotation"], facts["width"], facts["height"]) == (rotation, 64, 48)


@pytest.mark.parametrize("aspect", [Fraction(1), Fraction(4, 3), Fraction(8, 9)])
def test_sample_aspect_is_kept(tmp_path, aspect):
    source = write_clip(tmp_path / "a.mp4", moving_square(2), aspect=aspect)
    facts = video.probe(encode(source, tmp_path / "out.mp4"))
    assert Fraction(*facts["sample_aspect"]) == aspect


@pytest.mark.parametrize("colorspace, full_range", [(1, False), (1, True), (6, False), (2, False)])
def test_colour_tags_are_the_sources(tmp_path, colorspace, full_range):
    source = write_clip(tmp_path / "a.mp4", moving_square(2), colorspace=colorspace, full_range=full_range)
    names = ["color_range", "colorspace", "primaries", "transfer", "time_base"]
    before, after = (video.probe(p) for p in (source, encode(source, tmp_path / "out.mp4")))
    assert before["colorspace"] == colorspace
    assert [after[n] for n in names] == [before[n] for n in names]


def test_title_and_chapters_are_kept(clip, tmp_path):
    notes = ";FFMETADATA1\ntitle=A day\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=200\ntitle=One\n"
    (tmp_path / "notes").write_text(notes)
    ffmpeg("-i", clip, "-i", tmp_path / "notes", "-map_metadata", "1", "-c", "copy", tmp_path / "a.mp4")
    with av.open(str(encode(tmp_path / "a.mp4", tmp_path / "out.mp4"))) as result:
        assert result.metadata["title"] == "A day"
        assert [chapter["metadata"]["title"] for chapter in result.chapters()] == ["One"]


# ---- sound and subtitles -----------------------------------------------------------------------------------------


def test_every_packet_of_sound_is_the_sources_priming_included(clip, tmp_path):
    before, after = (packets(p, "audio") for p in (clip, encode(clip, tmp_path / "out.mp4")))
    assert before[0][0] < 0  # what the encoder needs to start up
    assert after == before


def test_every_sound_track_is_kept(clip, tmp_path):
    ffmpeg("-i", clip, "-map", "0:v", "-map", "0:a", "-map", "0:a", "-c", "copy", tmp_path / "two.mp4")
    result = encode(tmp_path / "two.mp4", tmp_path / "out.mp4")
    assert len(packets(result, "audio")) == 2 * len(packets(clip, "audio"))


def test_a_silent_clip_stays_silent(tmp_path):
    source = write_clip(tmp_path / "a.mp4", moving_square(2))
    assert packets(encode(source, tmp_path / "out.mp4"), "audio") == []


def test_of_a_damaged_sources_sound_only_whole_packets_are_kept(clip, tmp_path):
    path = remux(clip, tmp_path / "a.mp4", movflags="faststart")
    with av.open(str(path)) as container:
        sound = [p.pos for p in container.demux(audio=0) if p.size]
    path.write_bytes(path.read_bytes()[: sound[10] + 20])
    result = encode(path, tmp_path / "out.mp4", frames=list(video.decoded(path, [])))
    assert packets(result, "audio") == packets(clip, "audio")[:10]


def with_subtitles(clip: Path, target: Path, *codecs: str) -> Path:
    """The clip with the same subtitles once per codec."""
    (target.parent / "a.srt").write_text(SRT)
    maps = [word for n, codec in enumerate(codecs) for word in ("-map", "1:s", f"-c:s:{n}", codec)]
    ffmpeg("-i", clip, "-i", target.parent / "a.srt", "-map", "0", "-c:v", "copy", "-c:a", "copy", *maps, target)
    return target


def texts(path: Path) -> list[list[str]]:
    """What the packets of each mov_text stream say."""
    with av.open(str(path)) as container:
        streams = [s for s in container.streams.subtitles if s.codec_context.name == "mov_text"]
        said = {s.index: [] for s in streams}
        for packet in container.demux(streams) if streams else []:
            said[packet.stream.index].append(bytes(packet)[2:].decode())  # after its length
    return [[text for text in each if text] for each in said.values()]


def test_subtitles_of_an_mp4_are_copied(clip, tmp_path):
    source = with_subtitles(clip, tmp_path / "a.mp4", "mov_text")
    result = encode(source, tmp_path / "out.mp4")
    assert texts(result) == [["Hello", "there"]]
    assert packets(result, "subtitle") == packets(source, "subtitle")


def test_subtitles_in_text_become_those_of_an_mp4(clip, tmp_path):
    source = with_subtitles(clip, tmp_path / "a.mkv", "srt", "ass")
    assert texts(encode(source, tmp_path / "out.mp4")) == [["Hello", "there"]] * 2


def test_subtitles_made_of_pictures_are_left_out_with_a_word(tmp_path, clip, capfd, monkeypatch):
    source = with_subtitles(clip, tmp_path / "a.mkv", "srt", "ass")
    monkeypatch.setattr("clevam.join._TEXT_SUBTITLES", {"subrip", "srt"})  # as if ass were pictures
    assert texts(encode(source, tmp_path / "out.mp4")) == [["Hello", "there"]]
    assert "subtitles 1 (ssa) are left out" in capfd.readouterr().err


# ---- codecs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "codec, preset",
    [("libx265", "ultrafast"), ("libvpx-vp9", "medium"), ("libsvtav1", "12"), ("mpeg4", "medium"), ("mjpeg", "medium")],
)
def test_any_codec_gets_only_options_that_it_knows(tmp_path, capfd, codec, preset):
    source = write_clip(tmp_path / "a.mp4", moving_square(10))  # beside sound, ffmpeg does not complain
    result = encode(source, tmp_path / "out.mp4", codec=codec, preset=preset, lossless=False)
    assert len(times(result)) == 10
    assert "has not been used" not in capfd.readouterr().err


def test_a_codec_with_a_coarse_clock_takes_the_sources(tmp_path):
    pts = [0, 400, 900, 1024]
    source = write_clip(tmp_path / "a.mp4", moving_square(4), pts=pts, time_base=Fraction(1, 10240))
    result = encode(source, tmp_path / "out.mp4", codec="mpeg4", lossless=False)
    assert times(result) == [Fraction(p, 10240) for p in pts]


def test_crf_reaches_a_codec_that_counts_in_quantiser_steps(clip, tmp_path):
    options = {"codec": "mpeg4", "lossless": False}
    sizes = [encode(clip, tmp_path / f"{crf}.mp4", crf=crf, **options).stat().st_size for crf in (18.0, 40.0)]
    assert sizes[0] > sizes[1]


@pytest.mark.parametrize("codec", ["nosuch", "aac"])
def test_an_unknown_codec_is_named_and_leaves_nothing_behind(clip, tmp_path, codec):
    with pytest.raises(UserError, match=f"encode.codec: ffmpeg has no video encoder {codec}; .* libx264"):
        encode(clip, tmp_path / "out" / "a.mp4", codec=codec)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("codec", "container", "others"),
    [("prores_ks", "mp4", "mov or mkv"), ("libvpx", "mov", "mkv"), ("libvpx-vp9", "mov", "mp4 or mkv")],
)
def test_a_picture_that_the_container_cannot_hold_is_named_and_leaves_nothing_behind(
    clip, tmp_path, codec, container, others
):
    with pytest.raises(UserError, match=f"container: {container} cannot hold .*encode.codec writes; take {others}"):
        encode(clip, tmp_path / f"a.{container}", codec=codec, lossless=False)
    assert [path.suffix for path in tmp_path.iterdir()] == [".nut"] * 3


def test_a_sound_that_the_container_cannot_hold_is_named(clip, tmp_path):
    ffmpeg("-i", clip, "-c:v", "copy", "-c:a", "wmav2", tmp_path / "a.mkv")
    with pytest.raises(UserError, match="mp4 cannot hold wmav2, the sound of the source; take mkv"):
        encode(tmp_path / "a.mkv", tmp_path / "out.mp4")
    result = encode(tmp_path / "a.mkv", tmp_path / "out.mkv")
    assert packets(result, "audio") == packets(tmp_path / "a.mkv", "audio")


def test_lossless_with_a_codec_that_has_none_names_those_that_have(clip, tmp_path):
    with pytest.raises(UserError, match="encode.lossless: mpeg4 has none here; use libx264 or libx265 or ffv1"):
        encode(clip, tmp_path / "out.mp4", codec="mpeg4")


# ---- names and processes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["two words.mp4", 'it\'s "so".mp4', "-dash.mp4", "狗→狐.mp4", "a:b.mp4", "%03d [x].mp4"]
)
def test_any_file_name_works(clip, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    shutil.copy(clip, tmp_path / f"{name}.mp4")
    result = encode(Path(f"{name}.mp4"), Path(f"{name}.out.mp4"))
    result = result.rename(tmp_path / "result.mp4")
    assert planes_of(result) == planes_of(clip)
    assert packets(result, "audio") == packets(clip, "audio")


@pytest.fixture
def processes(monkeypatch) -> list[subprocess.Popen]:
    """Those that are started."""
    started, popen = [], subprocess.Popen
    monkeypatch.setattr(
        subprocess, "Popen", lambda *args, **options: started.append(popen(*args, **options)) or started[-1]
    )
    return started


def test_an_error_among_the_frames_ends_ffmpeg(clip, tmp_path, processes):
    with pytest.raises(ZeroDivisionError), encoder(tmp_path / "a.nut", video.probe(clip), LOSSLESS) as write:
        write(decode(clip)[0])
        raise ZeroDivisionError
    assert processes[-1].returncode is not None


def test_a_frame_out_of_order_is_an_error_that_ends_ffmpeg(clip, tmp_path, processes):
    first, second = decode(clip)[:2]
    with pytest.raises(av.FFmpegError), encoder(tmp_path / "a.nut", video.probe(clip), LOSSLESS) as write:
        write(second)
        write(first)
    assert processes[-1].returncode is not None


def test_an_ffmpeg_that_dies_is_reported(clip, tmp_path, processes):
    facts = video.probe(clip) | {"width": 640, "height": 480}
    with (
        pytest.raises(UserError, match="its reason stands above"),
        encoder(tmp_path / "a.nut", facts, LOSSLESS) as write,
    ):
        processes[-1].kill()
        for i, planes in enumerate(noise("yuv420p", (640, 480), count=20)):
            write(video.to_frame(planes, facts, i))
