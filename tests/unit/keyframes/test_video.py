"""video.py: what a clip is, its frames in order, its planes in and out."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

import clips
from clevam import keyframes, video, yuv
from clevam.errors import UserError


def read(path: Path, *span, **options) -> list[tuple[int, bytes]]:
    """Number and samples of the frames that `video.frames` yields."""
    facts = video.probe(path)
    return [(i, samples(frame, facts)) for i, frame in video.frames(path, *span, **options)]


def samples(frame, facts: dict) -> bytes:
    return b"".join(plane.tobytes() for plane in video.planes(frame, facts))


# ---- facts -----------------------------------------------------------------------------------------------------


def test_probe_of_an_ordinary_clip(tmp_path):
    path = clips.write_clip(tmp_path / "clip.mp4", clips.moving_square(3), time_base=Fraction(1, 600), sound=True)
    assert video.probe(path) == {
        "codec": "h264",
        "width": 64,
        "height": 48,
        "rotation": 0,
        "sample_aspect": [1, 1],
        "pix_fmt": "yuv420p",
        "format": "yuv420p",
        "bits": 8,
        "chroma": [2, 2],
        "color_range": 1,
        "full_range": False,
        "colorspace": 1,
        "primaries": 1,
        "transfer": 1,
        "rate": [900, 13],
        "time_base": [1, 600],
        "hdr": {},
    }


@pytest.mark.parametrize(
    ("pix_fmt", "bits", "chroma"),
    [("yuv420p", 8, [2, 2]), ("yuv422p10le", 10, [2, 1]), ("yuv444p", 8, [1, 1]), ("yuv420p12le", 12, [2, 2])],
)
def test_probe_tells_depth_and_chroma_of_odd_sizes(tmp_path, pix_fmt, bits, chroma):
    path = clips.write_clip(tmp_path / "c.mkv", clips.noise(pix_fmt, (47, 33)), codec="ffv1", pix_fmt=pix_fmt)
    facts = video.probe(path)
    assert [facts[k] for k in ("width", "height", "format", "bits", "chroma")] == [47, 33, pix_fmt, bits, chroma]


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_probe_tells_the_rotation_counter_clockwise(tmp_path, rotation):
    path = clips.write_clip(tmp_path / "clip.mp4", clips.moving_square(2), rotation=rotation)
    facts = video.probe(path)
    assert (facts["rotation"], facts["width"], facts["height"]) == (rotation, 64, 48)


@pytest.mark.parametrize("aspect", [Fraction(4, 3), Fraction(8, 9)])
def test_probe_tells_the_sample_aspect(tmp_path, aspect):
    path = clips.write_clip(tmp_path / "clip.mp4", clips.moving_square(2), aspect=aspect)
    assert video.probe(path)["sample_aspect"] == [aspect.numerator, aspect.denominator]


def test_probe_knows_full_range_by_its_tag(tmp_path):
    path = clips.write_clip(tmp_path / "clip.mp4", clips.moving_square(2), full_range=True, colorspace=clips.BT601)
    facts = video.probe(path)
    assert [facts[k] for k in ("full_range", "color_range", "colorspace", "format")] == [True, 2, 6, "yuv420p"]


def test_probe_of_an_untagged_clip_is_limited_and_unspecified(tmp_path):
    facts = video.probe(clips.write_clip(tmp_path / "clip.mp4", clips.moving_square(2), colorspace=2))
    assert [facts[k] for k in ("full_range", "colorspace", "primaries", "transfer")] == [False, 2, 2, 2]


@pytest.mark.parametrize(
    ("stored", "read_as"),
    [
        ("yuv420p", "yuv420p"),
        ("yuvj422p", "yuv422p"),
        ("yuva444p10le", "yuv444p10le"),
        ("nv12", "yuv420p"),
        ("gray", "yuv444p"),
        ("bgr0", "yuv444p"),
        ("gbrp10le", "yuv444p12le"),
        ("yuv420p10be", "yuv444p12le"),
    ],
)
def test_working_format_is_the_stored_one_wherever_it_is_planar_yuv(stored, read_as):
    assert video.working_format(stored) == read_as


# ---- frames ----------------------------------------------------------------------------------------------------

GOPS = {"g": "8", "bf": "3"}
OPEN_GOPS = {"x264-params": "keyint=8:bframes=3:open-gop=1:scenecut=0"}


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("clip.mp4", "libx264", GOPS),
        ("clip.mkv", "libx264", GOPS),
        ("clip.ts", "libx264", GOPS),
        ("open.mp4", "libx264", OPEN_GOPS),
        ("clip.mp4", "mpeg4", {"g": "8", "bf": "2"}),
        ("clip.mkv", "ffv1", {}),
    ],
)
def test_frames_after_a_seek_are_those_of_a_decoding_from_the_start(tmp_path, name, codec, options):
    path = clips.write_clip(tmp_path / name, clips.moving_square(30), codec=codec, **options)
    facts, decoded = video.probe(path), clips.decode(path)
    expected = [(i, samples(frame, facts)) for i, frame in enumerate(decoded)]
    index = {"pts": [frame.pts for frame in decoded], "damage": None}
    for first in (0, 1, 7, 8, 9, 15, 23, 29):
        assert read(path, first, min(first + 2, 29), index=index) == expected[first : first + 3]


def test_frames_seeks_instead_of_decoding_from_the_start(tmp_path, monkeypatch):
    path = clips.write_clip(tmp_path / "clip.mp4", clips.moving_square(30), g="8")
    index = {"pts": [frame.pts for frame in clips.decode(path)], "damage": None}
    decoded = []
    sought = video._sought
    monkeypatch.setattr(video, "_sought", lambda *args: (decoded.append(f.pts) or f for f in sought(*args)))
    assert [i for i, _ in video.frames(path, 21, 22, index)] == [21, 22]
    assert decoded == index["pts"][16:23]


def test_frames_without_an_index_start_from_the_beginning_and_end_where_told(tmp_path):
    path = clips.write_clip(tmp_path / "clip.mp4", clips.moving_square(6))
    assert [i for i, _ in video.frames(path)] == [0, 1, 2, 3, 4, 5]
    assert [i for i, _ in video.frames(path, 2, 3)] == [2, 3]
    assert [i for i, _ in video.frames(path, 4)] == [4, 5]


# ---- planes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le", "yuv444p", "yuv420p10le", "yuv444p16le"])
@pytest.mark.parametrize("size", [(64, 48), (47, 33)])
def test_to_frame_and_planes_keep_every_sample(pix_fmt, size):
    (stored,) = clips.noise(pix_fmt, size)
    facts = {"format": pix_fmt, "bits": 8 if pix_fmt.endswith("p") else int(pix_fmt[-4:-2])}
    frame = video.to_frame(stored, facts, pts=7)
    back = video.planes(frame, facts)
    assert (frame.format.name, frame.width, frame.height, frame.pts) == (pix_fmt, *size, 7)
    for plane, again in zip(stored, back, strict=True):
        assert again.dtype == plane.dtype
        assert np.array_equal(again, plane)


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "size", "options"),
    [
        ("c.mkv", "ffv1", "yuv420p", (47, 33), {}),
        ("c.mkv", "ffv1", "yuv422p10le", (46, 33), {}),
        ("c.mp4", "libx264", "yuv444p", (47, 33), {"qp": "0"}),
        ("c.mp4", "libx264", "yuv420p10le", (64, 48), {"qp": "0"}),
    ],
)
@pytest.mark.parametrize("full_range", [False, True])
def test_planes_are_the_samples_in_a_lossless_file(tmp_path, name, codec, pix_fmt, size, options, full_range):
    stored = clips.noise(pix_fmt, size, count=2)
    path = tmp_path / name
    clips.write_clip(path, stored, codec=codec, pix_fmt=pix_fmt, full_range=full_range, **options)
    facts = video.probe(path)
    for i, frame in video.frames(path):
        for plane, expected in zip(video.planes(frame, facts), stored[i], strict=True):
            assert np.array_equal(plane, expected)


@pytest.mark.parametrize("height", [48, 578])  # on both sides of the line where untagged YUV changes its matrix
@pytest.mark.parametrize("pix_fmt", ["bgr0", "gbrp10le", "yuva420p", "gray"])
def test_planes_of_other_formats_keep_the_colour(tmp_path, pix_fmt, height):
    colour = (200, 200, 200) if pix_fmt == "gray" else (200, 50, 20)
    pictures = clips.flat(colour, size=(64, height))
    if pix_fmt == "gray":
        pictures = [picture[..., 0].copy() for picture in pictures]
    tags = {"colorspace": clips.BT709} if pix_fmt == "yuva420p" else {"colorspace": 2}
    path = clips.write_clip(tmp_path / "clip.mkv", pictures, codec="ffv1", pix_fmt=pix_fmt, **tags)
    facts = video.probe(path)
    rgb = yuv.to_rgb(video.planes(clips.decode(path)[0], facts), yuv.Format.of(facts))
    assert np.abs(yuv.to_uint8(rgb).astype(int) - colour).max() <= 2


@pytest.mark.parametrize(("pix_fmt", "y"), [("yuv420p", 180), ("yuv420p10le", 723), ("yuv420p12le", 2888)])
def test_luma8_is_the_stored_brightness_in_eight_bits(tmp_path, pix_fmt, y):
    planes = [np.full_like(plane, y) for plane in clips.noise(pix_fmt, (64, 48))[0]]
    path = clips.write_clip(tmp_path / "c.mkv", [planes], codec="ffv1", pix_fmt=pix_fmt)
    luma = video.luma8(clips.decode(path)[0], video.probe(path))
    assert (luma.dtype, luma.shape, np.unique(luma).tolist()) == (np.uint8, (48, 64), [180])


@pytest.mark.parametrize(
    ("pix_fmt", "full_range", "y", "gray"),
    [
        ("yuv420p", False, 16, 0),
        ("yuv420p", False, 235, 255),
        ("yuv420p", True, 100, 100),
        ("yuv420p10le", False, 940, 255),
    ],
)
def test_gray8_runs_from_black_to_white_in_any_range(tmp_path, pix_fmt, full_range, y, gray):
    planes = [np.full_like(plane, y) for plane in clips.noise(pix_fmt, (64, 48))[0]]
    path = clips.write_clip(tmp_path / "c.mkv", [planes], codec="ffv1", pix_fmt=pix_fmt, full_range=full_range)
    assert np.unique(video.gray8(clips.decode(path)[0], video.probe(path))).tolist() == [gray]


def test_gray8_of_a_gray_video_is_what_it_holds(tmp_path):
    levels = np.arange(256, dtype=np.uint8).reshape(4, 64)
    path = clips.write_clip(tmp_path / "c.mkv", [levels], codec="ffv1", pix_fmt="gray", colorspace=2)
    assert np.array_equal(video.gray8(clips.decode(path)[0], video.probe(path)), levels)


# ---- errors ----------------------------------------------------------------------------------------------------


def keyframe_index(path: Path) -> None:
    method = {"every": 12}
    target = path.with_name("index.json")
    keyframes.index(str(path), str(target), method=method, cut_threshold=27.0, span=None, strict=False, block=8)


def text(path: Path) -> None:
    path.write_text("not a film\n" * 50)


def cover(path: Path) -> None:
    """A tone with a picture on its cover."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        stream.disposition = av.stream.Disposition.attached_pic
        clips.add_tone(container, seconds=0.5)
        container.mux(stream.encode(av.VideoFrame(64, 48, "yuvj420p")))
        container.mux(stream.encode(None))


def frameless(path: Path) -> None:
    """A video stream without a frame."""
    clip = clips.write_clip(path.with_name("frames.mp4"), clips.moving_square(3))
    data = clips.remux(clip, path, movflags="frag_keyframe+empty_moov").read_bytes()
    path.write_bytes(data[: data.index(b"moof") - 4])


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "no such file"),
        (text, "not a video that can be read"),
        (Path.touch, "not a video that can be read"),
        (Path.mkdir, "not a video that can be read"),
        (clips.write_sound, "there is no picture in this file, only sound or data"),
        (cover, "there is no picture in this file, only sound or data"),
        (frameless, "no frame can be decoded"),
    ],
    ids=["missing", "text", "empty", "folder", "sound", "cover", "frameless"],
)
@pytest.mark.parametrize("use", [video.probe, keyframe_index], ids=["probe", "index"])
def test_what_is_no_video_is_told_in_one_line(tmp_path, make, reason, use):
    path = tmp_path / "clip.mp4"
    make(path)
    with pytest.raises(UserError) as error:
        use(path)
    assert str(error.value).startswith(f"{path}: {reason}")
    assert "\n" not in str(error.value)
    assert not path.with_name("index.json").exists()
