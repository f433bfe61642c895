"""keyframes.py: shots, keyframes and blocks, and the pictures of the keyframes."""

import hashlib
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import clips
from clevam import keyframes, video
from clevam.errors import UserError

DARK, BRIGHT = (20, 30, 40), (230, 220, 60)


def cut_clip(path: Path, *lengths: int, **options) -> Path:
    """Shots of the given lengths, dark and bright in turn, with a hard cut between two."""
    frames = [f for i, n in enumerate(lengths) for f in clips.flat((DARK, BRIGHT)[i % 2], n)]
    return clips.write_clip(path, frames, **options)


def index_of(
    path: Path, method: dict | None = None, span: list | None = None, block: int = 8, strict: bool = False
) -> dict:
    target = path.parent / "index.json"
    how = {"method": method or {"every": 12}, "cut_threshold": 27.0, "span": span, "strict": strict, "block": block}
    keyframes.index(str(path), str(target), **how)
    return json.loads(target.read_text())


def picture_of(path: Path, name: str = "000000") -> np.ndarray:
    """The keyframe `name` of a clip as extract writes it."""
    keyframes.extract(str(path), str(path.parent / "pictures"), index=index_of(path), names=[name])
    with Image.open(path.parent / "pictures" / f"{name}.png") as image:
        assert image.mode == "RGB"
        return np.asarray(image)


# ---- which frames ----------------------------------------------------------------------------------------------

TIMES = [i / 10 for i in range(20)]  # ten frames a second


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ({"every": 4}, [0, 4, 8, 9, 10, 14, 18, 19]),
        ({"every": 100}, [0, 9, 10, 19]),
        ({"seconds": 0.35}, [0, 4, 7, 9, 10, 14, 17, 19]),
        ({"seconds": 0.1}, list(range(20))),
        ({"count": 1}, [0, 9, 10, 19]),
        ({"count": 5}, [0, 5, 9, 10, 14, 19]),
        ({"frames": [13, 3]}, [0, 3, 9, 10, 13, 19]),
    ],
)
def test_each_method_also_takes_the_first_and_last_frame_of_every_shot(method, expected):
    assert keyframes.choose([[0, 9], [10, 19]], TIMES, method) == expected


def test_seconds_are_the_clips_own_times_where_the_rate_varies():
    times = [0.0, 0.1, 0.2, 2.0, 2.1, 2.9, 3.1]
    assert keyframes.choose([[0, 6]], times, {"seconds": 1.0}) == [0, 3, 6]


def test_count_spreads_over_the_frames_of_the_range_alone():
    assert keyframes.choose([[4, 9], [10, 14]], TIMES, {"count": 3}) == [4, 9, 10, 14]


def test_a_shot_of_one_frame_has_one_keyframe():
    assert keyframes.choose([[0, 0], [1, 5]], TIMES, {"every": 10}) == [0, 1, 5]


def test_a_frame_outside_the_range_is_an_error_that_names_it():
    with pytest.raises(UserError, match=r"keyframes\.frames: 17 is not a frame of the edited range \(4 to 14\)"):
        keyframes.choose([[4, 9], [10, 14]], TIMES, {"frames": [5, 17, 18]})


# ---- range -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("span", "segments"),
    [
        (None, [[0, 9], [10, 19]]),
        ([0.4, 1.2], [[4, 9], [10, 12]]),
        ([0.41, 1.19], [[5, 9], [10, 11]]),
        ([1.0, 99], [[10, 19]]),
        ([0, 0.85], [[0, 8]]),
        ([0.5, 0.5], [[5, 5]]),
    ],
)
def test_range_keeps_the_parts_of_shots_inside_it(span, segments):
    assert keyframes.clip([[0, 9], [10, 19]], TIMES, span) == segments


@pytest.mark.parametrize("span", [[5, 6], [0.51, 0.52]])
def test_a_range_without_frames_is_an_error_that_tells_the_length(span):
    with pytest.raises(UserError, match=r"range \[.*\] holds no frame: the video runs from 0 to 1\.900 s"):
        keyframes.clip([[0, 19]], TIMES, span)


def test_range_counts_seconds_from_the_first_frame():
    facts = {"time_base": [1, 1000]}
    assert video.seconds([500, 540, 1500], facts) == [0.0, 0.04, 1.0]


# ---- scan ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lengths", "shots"),
    [
        ([30], [[0, 29]]),
        ([15, 15], [[0, 14], [15, 29]]),
        ([1, 5], [[0, 0], [1, 5]]),
        ([5, 1], [[0, 4], [5, 5]]),
        ([3, 1, 4], [[0, 2], [3, 3], [4, 7]]),
    ],
)
def test_scan_finds_the_cuts_at_their_very_frame(tmp_path, lengths, shots):
    path = cut_clip(tmp_path / "clip.mp4", *lengths)
    assert keyframes.scan(str(path), 27.0) == (list(range(sum(lengths))), shots, [])


def test_scan_takes_motion_for_no_cut(tmp_path):
    path = clips.write_clip(tmp_path / "clip.mp4", clips.moving_square(30))
    assert keyframes.scan(str(path), 27.0)[1] == [[0, 29]]


def test_a_higher_threshold_finds_fewer_cuts(tmp_path):
    path = cut_clip(tmp_path / "clip.mp4", 4, 4)
    assert keyframes.scan(str(path), 250.0)[1] == [[0, 7]]


def test_scan_tells_the_exact_times_of_a_variable_rate(tmp_path):
    pts = [0, 100, 150, 400, 1000, 1003]
    frames = clips.moving_square(6)
    path = clips.write_clip(tmp_path / "clip.mp4", frames, pts=pts, time_base=Fraction(1, 1000), bf="2")
    assert keyframes.scan(str(path), 27.0) == (pts, [[0, 5]], [])


def test_frames_without_times_are_an_error_with_the_cure(tmp_path):
    path = clips.write_clip(tmp_path / "clip.h264", clips.moving_square(3))
    with pytest.raises(UserError, match=r"clip\.h264: frame 0 has no time; repair with `ffmpeg -fflags \+genpts -i"):
        keyframes.scan(str(path), 27.0)


def test_times_that_do_not_increase_are_an_error_with_the_cure(tmp_path, monkeypatch):
    path = clips.write_clip(tmp_path / "clip.mp4", clips.moving_square(3))
    decoded = clips.decode(path)
    decoded[2].pts = decoded[1].pts
    monkeypatch.setattr(keyframes.video, "decoded", lambda *_: decoded)
    with pytest.raises(UserError, match=r"times do not increase; repair with `ffmpeg -i .* -c:v ffv1 new\.mkv`"):
        keyframes.scan(str(path), 27.0)


# ---- index.json ------------------------------------------------------------------------------------------------


def test_index_holds_what_the_stages_below_need(tmp_path):
    path = cut_clip(tmp_path / "clip.mp4", 10, 20, rotation=90, aspect=Fraction(4, 3))
    index = index_of(path, {"every": 6}, span=[0.16, 0.9], block=8)
    assert index["source"] == {
        "path": str(path),
        "size": path.stat().st_size,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    assert index["stream"].items() >= {"codec": "h264", "rotation": 90, "upright": [48, 85]}.items()
    assert index["pts"] == list(range(30))
    assert index["shots"] == [[0, 9], [10, 29]]
    assert index["segments"] == [[4, 9], [10, 22]]
    assert index["keyframes"] == ["000004", "000009", "000010", "000016", "000022"]
    assert index["blocks"] == {"0000": ["000004"], "0001": ["000009", "000010"], "0002": ["000016", "000022"]}


def test_every_block_with_a_frame_of_a_segment_appears_even_without_a_keyframe(tmp_path):
    path = cut_clip(tmp_path / "clip.mp4", 30)
    index = index_of(path, {"frames": []}, span=[0.2, 0.8], block=4)
    assert index["segments"] == [[5, 20]]
    assert index["blocks"] == {"0001": ["000005"], "0002": [], "0003": [], "0004": [], "0005": ["000020"]}


def test_index_of_the_same_clip_has_the_same_bytes(tmp_path):
    path = cut_clip(tmp_path / "clip.mp4", 5, 5)
    index_of(path)
    first = (tmp_path / "index.json").read_bytes()
    index_of(path)
    assert (tmp_path / "index.json").read_bytes() == first


# ---- pictures --------------------------------------------------------------------------------------------------


def test_extract_writes_just_the_named_frames_by_their_numbers(tmp_path):
    frames = [f for i in range(20) for f in clips.flat((10 * i, 128, 200 - 10 * i))]
    path = clips.write_clip(tmp_path / "clip.mp4", frames, g="6", bf="2")
    keyframes.extract(str(path), str(tmp_path / "out"), index=index_of(path), names=["000008", "000009", "000015"])
    assert sorted(p.name for p in (tmp_path / "out").glob("[!.]*")) == ["000008.png", "000009.png", "000015.png"]
    for i in (8, 9, 15):
        with Image.open(tmp_path / "out" / f"{i:06d}.png") as image:
            assert np.abs(np.asarray(image).astype(int) - (10 * i, 128, 200 - 10 * i)).max() <= 3


@pytest.mark.parametrize(
    ("colorspace", "full_range", "samples"),
    [
        (clips.BT709, False, (173, 42, 26)),
        (clips.BT601, False, (145, 54, 34)),
        (clips.BT709, True, (182, 29, 12)),
        (clips.BT601, True, (150, 43, 21)),
    ],
)
def test_extract_shows_green_in_any_matrix_and_range(tmp_path, colorspace, full_range, samples):
    sizes = [(48, 64), (24, 32), (24, 32)]
    planes = [np.full(size, v, np.uint8) for size, v in zip(sizes, samples, strict=True)]
    tags = {"colorspace": colorspace, "full_range": full_range}
    path = clips.write_clip(tmp_path / "clip.mp4", [planes] * 2, qp="0", **tags)
    assert np.abs(picture_of(path).astype(int) - clips.GREEN).max() <= 2


@pytest.mark.parametrize(
    ("rotation", "corner"), [(0, "top left"), (90, "bottom left"), (180, "bottom right"), (270, "top right")]
)
def test_extract_turns_pictures_upright(tmp_path, rotation, corner):
    picture = clips.flat(clips.BLUE)[0].copy()
    picture[:12, :12] = clips.RED  # the marker, at the top left as stored
    path = clips.write_clip(tmp_path / "clip.mp4", [picture] * 2, rotation=rotation)
    seen = picture_of(path)
    assert seen.shape == ((64, 48, 3) if rotation % 180 else (48, 64, 3))
    row, column = (0 if "top" in corner else -1), (0 if "left" in corner else -1)
    red = seen[..., 0] > 128
    assert red[row, column]
    assert red.sum() == pytest.approx(144, abs=20)


@pytest.mark.parametrize(("aspect", "size"), [(Fraction(2), (128, 48)), (Fraction(1, 2), (64, 96))])
def test_extract_gives_an_anamorphic_picture_square_pixels(tmp_path, aspect, size):
    picture = clips.flat(clips.BLUE)[0].copy()
    picture[:, 32:] = clips.RED
    path = clips.write_clip(tmp_path / "clip.mp4", [picture] * 2, aspect=aspect)
    seen = picture_of(path)
    assert seen.shape[1::-1] == size
    half = size[0] // 2
    assert (seen[:, : half - 4, 2] > 128).all()
    assert (seen[:, half + 4 :, 0] > 128).all()


def test_extract_reads_ten_bits_and_odd_sizes(tmp_path):
    frames = [[np.full((33, 47), v, np.uint16) for v in (723, 512, 512)]]
    path = clips.write_clip(tmp_path / "clip.mkv", frames, codec="ffv1", pix_fmt="yuv444p10le")
    seen = picture_of(path)
    assert seen.shape == (33, 47, 3)
    assert np.unique(seen).tolist() == [192]


def test_extract_gives_the_same_bytes_each_time(tmp_path):
    path = clips.write_clip(tmp_path / "clip.mp4", clips.moving_square(12))
    index, results = index_of(path), []
    for name in ("a", "b"):
        keyframes.extract(str(path), str(tmp_path / name), index=index, names=["000011"])
        results.append((tmp_path / name / "000011.png").read_bytes())
    assert results[0] == results[1]


def test_an_interlaced_clip_is_refused(tmp_path):
    options = {"flags": "+ildct+ilme", "x264-params": "tff=1"}
    clip = clips.write_clip(tmp_path / "a.mp4", clips.moving_square(3), **options)
    with pytest.raises(UserError, match="a.mp4: it is interlaced; make it progressive: `ffmpeg"):
        index_of(clip)
