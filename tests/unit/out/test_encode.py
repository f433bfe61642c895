"""The result's file: the frames that were given, and everything else as in the source."""

import hashlib
import re
import shlex
import shutil
import struct
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest

from clevam import video
from clevam.encode import encoder
from clevam.errors import UserError
from clevam.files import replacing
from clevam.join import join
from clips import decode, moving_square, noise, remux, write_clip

LOSSLESS = {
    "codec": "libx264", "crf": 18.0, "preset": "ultrafast", "lossless": True, "pix_fmt": None, "extra": {},
}  # fmt: skip
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


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.parametrize("pts", [[0, 3003, 4000, 90001, 90002, 90005, 95000], [9000 + 3600 * n for n in range(11)]])
@pytest.mark.parametrize("container", ["mp4", "mov"])
def test_b_frames_in_stretches_do_not_shift_times_and_the_last_frame_lasts(tmp_path, codec, pts, container):
    source = write_clip(tmp_path / "a.mp4", moving_square(len(pts)), pts=pts, time_base=Fraction(1, 90000))
    result = encode(source, tmp_path / f"out.{container}", lossless=False, codec=codec, extra={"bf": 3})
    assert any(frame.pict_type == av.video.frame.PictureType.B for frame in decode(result))
    assert times(result) == [Fraction(p, 90000) for p in pts]
    end = times(result)[-1] + 1 / Fraction(*video.probe(source)["rate"])
    moov = result.read_bytes().partition(b"mvhd")[2]
    ticks, duration = struct.unpack(">II", moov[12:20])  # ISO/IEC 14496-12, 8.2.2.2
    assert abs(Fraction(duration, ticks) - end) <= Fraction(1, ticks)


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_a_film_that_would_start_before_0_starts_there_and_its_sound_stays_beside_it(tmp_path, clip, container):
    encode(clip, tmp_path / "whole.mp4", stretch=10)
    early, facts = Fraction(1, 5), video.probe(clip)
    pts = [round((time - early) / Fraction(*facts["time_base"])) for time in times(clip)]
    result = tmp_path / f"out.{container}"
    index = {"stream": facts, "pts": pts, "damage": None}
    join([str(tmp_path / "whole.0.nut")], str(result), source=str(clip), index=index)
    assert times(result) == times(clip)
    shift = packets(result, "audio")[-1][0] - packets(clip, "audio")[-1][0]
    assert abs(shift - early) <= Fraction(1, 1000)


def test_what_an_edit_list_hides_stays_hidden_and_the_sound_stays_beside_the_picture(tmp_path):
    whole = write_clip(tmp_path / "whole.mp4", moving_square(50), sound=True, g="25", bf="2")
    source = tmp_path / "cut.mp4"
    ffmpeg("-ss", 1.2, "-i", whole, "-c", "copy", source)  # from the key frame at 1.0 on, the rest by an edit list
    assert b"elst" in source.read_bytes()
    shown = times(source)
    assert len(shown) == 20 and shown[0] == 0
    result = encode(source, tmp_path / "out.mp4")
    assert times(result) == shown
    assert planes_of(result) == planes_of(source)
    assert packets(result, "audio") == packets(source, "audio")


def test_every_stretch_begins_where_a_player_may_begin(tmp_path):
    source = write_clip(tmp_path / "a.mp4", moving_square(30), qp="0")
    result = encode(source, tmp_path / "out.mp4", stretch=8, codec="libx265", extra={"bf": 3})
    whole = decode(result)
    for first in (0, 8, 16, 24):
        with av.open(str(result)) as container:
            stream = container.streams.video[0]
            container.seek(whole[first].pts, stream=stream, backward=False)
            found = list(container.decode(stream))
        assert [f.pts for f in found] == [f.pts for f in whole[first:]]
        assert all(np.array_equal(a.to_ndarray(), b.to_ndarray()) for a, b in zip(found, whole[first:], strict=True))


def test_a_film_of_which_a_stretch_is_not_whole_is_refused(tmp_path, clip):
    encode(clip, tmp_path / "out.mp4")
    stretches = sorted(map(str, tmp_path.glob("*.nut")))
    index = {"stream": video.probe(clip), "pts": [f.pts for f in decode(clip)], "damage": None}
    with pytest.raises(UserError, match="is damaged, delete that folder and run again"):
        join(stretches[:-1], str(tmp_path / "b.mp4"), source=str(clip), index=index)


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


HDR = {"mastering_display": "G(8500,39850)B(6550,2300)R(35400,14600)WP(15635,16450)L(10000000,50)"}
HDR |= {"content_light": "1000,400"}


@pytest.mark.parametrize("codec, container", [("libx264", "mp4"), ("libx265", "mov"), ("prores_ks", "mkv")])
def test_what_a_screen_is_told_of_an_hdr_picture_is_kept(tmp_path, codec, container):
    plain = write_clip(tmp_path / "a.mkv", noise("yuv422p10le", (64, 48), 2), codec="ffv1", pix_fmt="yuv422p10le")
    assert video.probe(plain)["hdr"] == {}
    options = [word for key, value in HDR.items() for word in (f"-{key}", value)]
    ffmpeg(*options, "-i", plain, "-c", "copy", tmp_path / "hdr.mkv")
    assert video.probe(tmp_path / "hdr.mkv")["hdr"] == HDR
    result = encode(tmp_path / "hdr.mkv", tmp_path / f"out.{container}", codec=codec, lossless=False)
    assert video.probe(result)["hdr"] == HDR
    if codec != "prores_ks":  # which has no place for it but the container
        assert video.probe(tmp_path / "out.0.nut")["hdr"] == HDR


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


def test_an_mkv_keeps_subtitles_of_all_kinds_and_an_mp4s_in_text(clip, tmp_path):
    result = encode(with_subtitles(clip, tmp_path / "a.mkv", "srt", "ass"), tmp_path / "out.mkv")
    with av.open(str(result)) as container:
        assert [s.codec_context.name for s in container.streams.subtitles] == ["srt", "ssa"]
    result = encode(with_subtitles(clip, tmp_path / "a.mp4", "mov_text"), tmp_path / "out2.mkv")
    assert [time for time, _ in packets(result, "subtitle")] == [0, Fraction(6, 25)]


# ---- containers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("container", ["mp4", "mov", "mkv"])
def test_every_container_holds_the_frames_the_sound_and_the_tags(clip, tmp_path, container):
    turned = tmp_path / "turned.mp4"
    ffmpeg("-display_rotation", "90", "-i", clip, "-c", "copy", "-metadata", "title=A day", turned)
    result = encode(turned, tmp_path / f"out.{container}")
    assert planes_of(result) == planes_of(turned)
    assert times(result) == times(turned)
    before, after = (video.probe(path) for path in (turned, result))
    assert [after[key] for key in ("rotation", "colorspace", "color_range")] == [90, 1, 1]
    assert before["rate"] == after["rate"]
    assert [digest for _, digest in packets(result, "audio")] == [digest for _, digest in packets(turned, "audio")]
    gaps = [abs(a - b) for (a, _), (b, _) in zip(packets(result, "audio"), packets(turned, "audio"), strict=True)]
    assert max(gaps) < Fraction(1, 1000)
    with av.open(str(result)) as film:
        assert film.metadata.get("title") == "A day"


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_an_mp4_plays_on_the_web_while_it_loads(clip, tmp_path, codec):
    result = encode(clip, tmp_path / "out.mp4", codec=codec)
    assert result.read_bytes().index(b"moov") < result.read_bytes().index(b"mdat")
    with av.open(str(result)) as container:
        assert container.streams.video[0].codec_context.codec_tag == {"libx264": "avc1", "libx265": "hvc1"}[codec]


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


def test_another_pix_fmt_is_converted_at_the_end(tmp_path):
    levels = [np.full(size, 4 * value, np.uint16) for size, value in [((48, 64), 90), ((48, 32), 100), ((48, 32), 150)]]
    source = write_clip(tmp_path / "a.mkv", [levels] * 2, codec="ffv1", pix_fmt="yuv422p10le")
    result = encode(source, tmp_path / "out.mp4", pix_fmt="yuv420p", lossless=False, crf=0.0)
    facts = video.probe(result)
    assert (facts["pix_fmt"], facts["colorspace"], facts["color_range"]) == ("yuv420p", 1, 1)
    for plane, value in zip(video.planes(decode(result)[0], facts), (90, 100, 150), strict=True):
        assert np.abs(plane.astype(int) - value).max() <= 1


def test_another_pix_fmt_is_not_lossless(clip, tmp_path):
    with pytest.raises(UserError, match="encode.pix_fmt: yuv444p is not lossless for a source in yuv420p; leave one"):
        encode(clip, tmp_path / "out.mp4", pix_fmt="yuv444p")
    assert planes_of(encode(clip, tmp_path / "out.mp4", pix_fmt="yuv420p")) == planes_of(clip)


def test_a_pix_fmt_that_the_codec_lacks_is_refused(clip, tmp_path):
    with pytest.raises(UserError, match="libx264 cannot write yuv444p12le; it can write yuv420p, "):
        encode(clip, tmp_path / "out.mp4", pix_fmt="yuv444p12le", lossless=False)


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_extra_options_reach_the_encoder(tmp_path, codec):
    source = write_clip(tmp_path / "a.mp4", moving_square(8))
    result = encode(source, tmp_path / "out.mp4", stretch=8, codec=codec, lossless=False, extra={"g": 2})
    assert [n for n, frame in enumerate(decode(result)) if frame.key_frame] == [0, 2, 4, 6]
    if codec == "libx264":
        still = {"tune": "stillimage", "psy": False, "aq-mode": "none", "psy-rd": "0:0"}
        encode(source, tmp_path / "tuned.mp4", lossless=False, extra=still)
        assert b"aq=0" in (tmp_path / "tuned.mp4").read_bytes()


@pytest.mark.parametrize(
    ("codec", "name", "hint"),
    [
        ("libx264", "tuen", "did you mean tune"),
        ("libx265", "aq-mode", "ffmpeg -h encoder=libx265"),
        ("libx264", "crf", ""),
        *[("libx264", name, "") for name in ("stats", "passlogfile", "x264opts", "x264-params", "flags", "pass", "vf")],
        *[("libx265", name, "") for name in ("x265-params", "x265-stats", "map", "attach", "pre", "vstats_file")],
    ],
)
def test_an_option_that_the_encoder_lacks_or_that_may_name_a_file_is_refused(clip, tmp_path, codec, name, hint):
    with pytest.raises(UserError, match=f"encode.extra: {codec} has no option {name} that may be set here; .*{hint}"):
        encode(clip, tmp_path / "out.mp4", codec=codec, extra={name: "1"})


def test_lossless_with_a_codec_that_has_none_names_those_that_have(clip, tmp_path):
    with pytest.raises(UserError, match="encode.lossless: mpeg4 has none here; use libx264 or libx265 or ffv1"):
        encode(clip, tmp_path / "out.mp4", codec="mpeg4")


# ---- what is refused, with the command that mends it -------------------------------------------------------------


def mended(path: Path) -> Path:
    """What the command in the refusal makes of a clip."""
    with pytest.raises(UserError) as refused:
        for frame in decode(path):
            video.check(frame, path)
    program, *arguments = shlex.split(re.search("`(.+)`", str(refused.value))[1])
    assert program == "ffmpeg"
    ffmpeg(*arguments[:-1], path.parent / arguments[-1])
    return path.parent / arguments[-1]


def test_a_clip_that_is_refused_since_it_is_interlaced_can_be_mended(tmp_path):
    options = {"flags": "+ildct+ilme", "x264-params": "tff=1"}
    clip = write_clip(tmp_path / "it's interlaced.mp4", moving_square(6), sound=True, **options)
    frames = decode(mended(clip))
    assert len(frames) == 6
    for frame in frames:
        video.check(frame, clip)
    assert len(packets(tmp_path / "new.mkv", "audio")) == len(packets(clip, "audio"))


@pytest.mark.parametrize("rotation", ["0", "90"])
def test_a_clip_that_is_refused_since_it_is_mirrored_can_be_mended(tmp_path, rotation):
    bright_left = np.full((48, 64, 3), 20, np.uint8)
    bright_left[:, :16] = 240
    plain = write_clip(tmp_path / "plain.mp4", [bright_left] * 3)
    shown = ["-display_hflip", "-display_rotation", rotation]
    ffmpeg(*shown, "-i", plain, "-c", "copy", tmp_path / "mirrored.mp4")
    frames = decode(mended(tmp_path / "mirrored.mp4"))
    for frame in frames:
        video.check(frame, plain)
    picture = frames[0].to_ndarray(format="gray")
    assert picture.shape == {"0": (48, 64), "90": (64, 48)}[rotation]
    across = picture.mean(0) if rotation == "0" else picture.mean(1)[::-1]
    assert sorted((across[:8].mean() > 128, across[-8:].mean() > 128)) == [False, True]


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
