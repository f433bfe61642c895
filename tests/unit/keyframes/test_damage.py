"""damage.py, and what video.py and keyframes.py make of a damaged file: edit what can be decoded, and say so."""

import json
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace as Fake

import av
import pytest

import clips
from clevam import damage, keyframes, video
from clevam.errors import UserError

COUNT, GOP = 24, 8
REAL = Path(__file__).resolve().parents[4] / "shared" / "clips"


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """24 frames with B-frames and a key frame in every 8, and sound."""
    path = tmp_path_factory.mktemp("damage") / "whole.mp4"
    return clips.write_clip(path, clips.moving_square(COUNT), sound=True, g=str(GOP), bf="2", sc_threshold="0")


def faststart(source: Path, target: Path) -> Path:
    return clips.remux(source, target, movflags="faststart")


def packets(path: Path) -> list[tuple[int, int]]:
    """(position in the file, size) of every packet of the picture, in the order of the file."""
    with av.open(str(path)) as container:
        return [(p.pos, p.size) for p in container.demux(video=0) if p.size]


def cut(path: Path, size: int) -> Path:
    """The first `size` bytes of a file, beside it."""
    target = path.with_name(f"cut{path.suffix}")
    target.write_bytes(path.read_bytes()[:size])
    return target


def spoiled(path: Path, number: int, share: float = 1) -> Path:
    """A copy whose packet `number`, counted in the order of the file, is all zeros, or the last `share` of it."""
    position, size = packets(path)[number]
    lost = round(share * size)
    data = bytearray(path.read_bytes())
    data[position + size - lost : position + size] = bytes(lost)
    target = path.with_name(f"spoiled{path.suffix}")
    target.write_bytes(data)
    return target


def index_of(path: Path, strict: bool = False) -> dict:
    target = path.with_name("index.json")
    method = {"every": 5}
    keyframes.index(str(path), str(target), method=method, cut_threshold=27.0, span=None, strict=strict, block=8)
    return json.loads(target.read_text())


def decode(path: Path) -> tuple[int, list[damage.Trouble]]:
    """How many frames can be had, and what cannot."""
    troubles = []
    return len(list(video.decoded(path, troubles))), troubles


# ---- intact files ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("clip.mp4", {}),
        ("b.mp4", {"bf": "3", "g": "8"}),
        ("open.mp4", {"x264-params": "keyint=8:bframes=3:open-gop=1:scenecut=0"}),
        ("refresh.mp4", {"x264-params": "intra-refresh=1:keyint=8"}),
        ("variable.mp4", {"pts": [0, 100, 150, 400, 1000, 1003], "time_base": Fraction(1, 1000), "bf": "2"}),
        ("sound.mp4", {"sound": True, "bf": "2"}),
        ("long_sound.mp4", {"sound": 2.0, "bf": "2"}),
        ("short_sound.mp4", {"sound": 0.1}),
        ("long_sound.mkv", {"sound": 2.0, "bf": "2"}),
        ("sound.ts", {"sound": True, "bf": "2"}),
        ("hevc.mp4", {"codec": "libx265", "x265-params": "log-level=none"}),
        ("hevc.ts", {"codec": "libx265", "x265-params": "log-level=none:open-gop=1:keyint=4"}),
        ("clip.webm", {"codec": "libvpx-vp9"}),
        ("clip.avi", {"codec": "mpeg4"}),
        ("clip.mkv", {"codec": "ffv1"}),
    ],
)
def test_an_intact_file_is_not_called_damaged(tmp_path, name, options):
    count = len(options.get("pts", range(COUNT)))
    path = clips.write_clip(tmp_path / name, clips.moving_square(count), **options)
    assert decode(path) == (count, [])
    assert index_of(path)["damage"] is None


@pytest.mark.parametrize("name", ["fast.mp4", "clip.mov", "clip.mkv", "clip.ts", "fragments.mp4"])
def test_a_file_put_into_another_container_is_not_called_damaged(whole, tmp_path, name):
    flags = {"fast.mp4": "faststart", "fragments.mp4": "frag_keyframe+empty_moov"}
    path = clips.remux(whole, tmp_path / name, **({"movflags": flags[name]} if name in flags else {}))
    assert decode(path) == (COUNT, [])


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts"])
def test_a_file_that_starts_before_zero_is_not_called_damaged(tmp_path, name):
    source = clips.write_clip(tmp_path / "source.mp4", clips.moving_square(COUNT), g="8", bf="2")
    path = clips.remux(source, tmp_path / name, start=5)
    assert decode(path) == (COUNT - 5 if name == "clip.mp4" else COUNT, [])  # an edit list hides what is before zero


def test_a_recording_that_starts_between_key_frames_is_not_called_damaged(whole, tmp_path):
    path = clips.remux(whole, tmp_path / "clip.ts")
    start = packets(path)[3][0]
    (tmp_path / "late.ts").write_bytes(path.read_bytes()[start:])
    count, troubles = decode(tmp_path / "late.ts")
    assert (count, troubles) == (COUNT - GOP, [])


def test_an_interlaced_file_is_not_called_damaged(tmp_path):
    options = {"flags": "+ildct+ilme", "x264-params": "tff=1"}
    assert decode(clips.write_clip(tmp_path / "a.mp4", clips.moving_square(COUNT), **options)) == (COUNT, [])


def test_two_recordings_in_a_row_are_not_called_damaged(whole, tmp_path):
    silent = clips.write_clip(tmp_path / "silent.mp4", clips.moving_square(COUNT), bf="2")
    parts = [clips.remux(silent, tmp_path / f"{k}.ts", start=-25 * k) for k in (0, 1)]
    (tmp_path / "both.ts").write_bytes(b"".join(p.read_bytes() for p in parts))
    assert decode(tmp_path / "both.ts") == (2 * COUNT, [])


@pytest.mark.parametrize(
    ("codec", "interlaced", "discarded", "lost"),
    [("h264", False, False, [1, 3]), ("h264", True, False, []), ("vp8", False, False, []), ("h264", False, True, [])],
    ids=["lost", "fields", "hidden", "discarded"],
)
def test_packets_without_a_frame_are_damage_only_where_each_should_have_one(codec, interlaced, discarded, lost):
    """Here every second packet has none."""
    sent = [Fake(pts=i, size=9, is_corrupt=False, is_discard=discarded and i % 2 == 1) for i in range(4)]
    frames = {i: [Fake(pts=i, is_corrupt=False, interlaced_frame=interlaced)] for i in (0, 2)}
    stream = Fake(codec_context=Fake(name=codec), decode=lambda packet: frames.get(packet and packet.pts, []))
    troubles = []
    list(video._decoded(Fake(format=Fake(name="mp4"), demux=lambda _: sent), stream, troubles))
    assert [t.pts for t in troubles] == lost


@pytest.mark.parametrize("path", sorted(REAL.glob("*.mp4")), ids=lambda p: p.stem)
def test_a_real_clip_is_not_called_damaged(path):
    assert decode(path)[1] == []


# ---- files that end too early ----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 7, GOP, 2 * GOP + 3, COUNT - 1])
@pytest.mark.parametrize("share", [0, 0.5], ids=["between", "within"])
def test_an_mp4_is_edited_up_to_the_packet_in_which_it_is_cut(whole, tmp_path, number, share):
    path = faststart(whole, tmp_path / "fast.mp4")
    position, size = packets(path)[number]
    index = index_of(cut(path, position + round(share * size)))
    assert len(index["pts"]) == number
    within = "a frame's data are incomplete, " if share else ""
    assert index["damage"]["reason"] == f"{within}the file is cut off"


def test_the_last_good_time_is_that_of_the_last_frame_in_seconds(whole, tmp_path):
    path = faststart(whole, tmp_path / "fast.mp4")
    index = index_of(cut(path, packets(path)[GOP][0]))
    assert index["damage"] == {"last_good": 7 / 25, "reason": "the file is cut off"}


@pytest.mark.parametrize(
    ("name", "flags"), [("clip.mkv", None), ("clip.ts", None), ("fragments.mp4", "frag_keyframe+empty_moov")]
)
@pytest.mark.parametrize("number", [4, GOP, 2 * GOP])
def test_other_containers_are_edited_up_to_where_they_are_cut(whole, tmp_path, name, flags, number):
    path = clips.remux(whole, tmp_path / name, **({"movflags": flags} if flags else {}))
    position, size = packets(path)[number]
    index = index_of(cut(path, position + size // 2))
    assert number <= len(index["pts"]) <= number + 1  # the frame that is cut may be shown in part
    assert "the file is cut off" in index["damage"]["reason"]
    assert 0 < index["damage"]["last_good"] <= video.seconds(index["pts"], index["stream"])[-1]


def test_a_transport_stream_that_is_cut_between_its_packets_is_known_by_the_frame_that_lacks_an_end(tmp_path):
    path = clips.write_clip(tmp_path / "clip.ts", clips.noise("yuv420p", (64, 48), COUNT))
    index = index_of(cut(path, packets(path)[9][0] + 188 * 5))
    assert index["damage"]["reason"] == "a frame can be decoded in part only"
    assert index["damage"]["last_good"] < (index["pts"][-1] - index["pts"][0]) / 90_000


def test_an_mp4_without_its_index_is_told_with_the_cure(whole):
    path = cut(whole, whole.stat().st_size // 2)
    for use in (video.probe, index_of):
        with pytest.raises(UserError, match=r"not a video that can be read \(.*\); its index \(moov\) is missing"):
            use(path)


def test_a_file_that_is_cut_before_its_first_frame_is_told_so(whole, tmp_path):
    path = faststart(whole, tmp_path / "fast.mp4")
    with pytest.raises(UserError, match=r"cut\.mp4: no frame can be decoded; the file is cut off: copy it again"):
        video.probe(cut(path, packets(path)[0][0] + 9))


def test_a_file_that_is_cut_in_the_table_of_a_fragment_is_known(whole, tmp_path):
    path = clips.remux(whole, tmp_path / "fragments.mp4", movflags="frag_keyframe+empty_moov")
    start = path.read_bytes().rindex(b"moof")
    index = index_of(cut(path, start + 30))
    assert (len(index["pts"]), index["damage"]["reason"]) == (COUNT - GOP, "the file is cut off")


@pytest.mark.parametrize(
    ("data", "is_cut"),
    [
        (b"\0\0\0\x10ftypisom\0\0\0\0" + b"\0\0\0\x0cmdat1234", False),
        (b"\0\0\0\x10ftypisom\0\0\0\0" + b"\0\0\0\x0dmdat1234", True),
        (b"\0\0\0\x10ftypisom\0\0\0\0" + b"\0\0\0\1mdat\0\0\0\0\0\0\0\x141234", False),
        (b"\0\0\0\x10ftypisom\0\0\0\0" + b"\0\0\0\1mdat\0\0\0\1\0\0\0\x141234", True),
        (b"\0\0\0\x10ftypisom\0\0\0\0" + b"\0\0\0\0mdat" + b"\0\0\1\0mdat", False),
        (b"\0\0\0\x10ftypisom\0\0\0\0" + b"\0\0\1\0junk", False),
        (b"\0\0\0\x08wide" + b"\0\0\0\x0dmdat1234", True),
        (b"\x1a\x45\xdf\xa3\x81\0" + b"\x18\x53\x80\x67\x841234", False),
        (b"\x1a\x45\xdf\xa3\x81\0" + b"\x18\x53\x80\x67\x40\x051234", True),
        (b"\x1a\x45\xdf\xa3\x81\0" + b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff1234", False),
        (b"RIFF\x08\0\0\0AVI 1234", False),
        (b"RIFF\x09\0\0\0AVI 1234", True),
        (b"GIF89a1234;", False),
        (b"GIF89a1234", True),
    ],
    ids=[
        "short",
        "short cut",
        "long",
        "long cut",
        "to the end",
        "junk",
        "mov",
        "mkv",
        "mkv cut",
        "mkv unknown",
        "avi",
        "avi cut",
        "gif",
        "gif cut",
    ],
)
def test_a_container_tells_its_length(tmp_path, data, is_cut):
    (tmp_path / "file").write_bytes(data)
    assert damage.is_cut_off(tmp_path / "file") == is_cut


@pytest.mark.parametrize("data", [b"", b"\x47", b"\x1a\x45\xdf\xa3", b"\0\0\0\x18ftyp", b"text" * 100])
def test_what_is_no_video_is_not_called_cut_off(tmp_path, data):
    path = tmp_path / "file"
    path.write_bytes(data)
    assert not damage.is_cut_off(path)


# ---- damage in the middle --------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 3, GOP - 1, 2 * GOP])
def test_a_frame_that_cannot_be_decoded_is_left_out_and_those_before_are_good(whole, tmp_path, number):
    path = faststart(whole, tmp_path / "fast.mp4")
    before, index = index_of(path), index_of(spoiled(path, number))
    assert set(index["pts"]) < set(before["pts"])
    assert len(index["pts"]) > number
    assert index["damage"]["reason"] == "a frame cannot be decoded"
    lost = min(set(before["pts"]) - set(index["pts"]))
    assert index["damage"]["last_good"] == max(before["pts"].index(lost) - 1, 0) / 25


@pytest.mark.parametrize("number", [COUNT - 3, COUNT - 2, COUNT - 1])
def test_a_frame_near_the_end_that_cannot_be_decoded_takes_no_other_with_it(tmp_path, number):
    path = clips.write_clip(tmp_path / "clip.mov", clips.moving_square(COUNT), codec="prores_ks", pix_fmt="yuv422p10le")
    count, troubles = decode(spoiled(path, number))
    assert (count, [t.reason for t in troubles]) == (COUNT - 1, ["a frame cannot be decoded"])


def test_a_frame_that_is_lost_without_an_error_is_noticed(tmp_path):
    """In MPEG-TS, and in HEVC, decoders pass over what they do not know."""
    path = clips.write_clip(tmp_path / "c.mp4", clips.moving_square(COUNT), codec="libx265", preset="ultrafast")
    position, _ = packets(path)[10]
    data = bytearray(path.read_bytes())
    data[position + 4] = 62 << 1  # a kind of unit that is for private use
    path.write_bytes(data)
    count, troubles = decode(path)
    assert count < COUNT
    assert {t.reason for t in troubles} == {"a frame cannot be decoded"}


def test_frames_at_times_that_are_over_are_left_out_of_a_damaged_file(whole, monkeypatch):
    found = clips.decode(whole)
    found[5].pts = found[2].pts
    found[6].pts = None

    def decoded(path, troubles):
        troubles.append(damage.Trouble(found[4].pts, "a frame cannot be decoded"))
        yield from found

    monkeypatch.setattr(video, "decoded", decoded)
    assert keyframes.scan(str(whole), 27.0)[0] == [f.pts for i, f in enumerate(found) if i not in (5, 6)]


# ---- what later stages read ------------------------------------------------------------------------------------


def damaged(whole: Path, folder: Path, kind: str) -> Path:
    path = faststart(whole, folder / "fast.mp4")
    if kind == "spoiled":
        return spoiled(path, GOP, 0.5)  # a key frame: after a seek to it, what it lacks would be filled in otherwise
    return cut(path, packets(path)[2 * GOP + 3][0] + 5)


@pytest.mark.parametrize("kind", ["cut", "spoiled"])
def test_later_stages_read_exactly_the_frames_of_the_index(whole, tmp_path, kind):
    path = damaged(whole, tmp_path, kind)
    index = index_of(path)
    every = [(i, frame.pts, frame.to_ndarray().tobytes()) for i, frame in video.frames(path, index=index)]
    assert [(i, pts) for i, pts, _ in every] == list(enumerate(index["pts"]))
    for first in range(len(every)):
        read = [(i, f.pts, f.to_ndarray().tobytes()) for i, f in video.frames(path, first, len(every) - 1, index)]
        assert read == every[first:]


@pytest.mark.parametrize("kind", ["cut", "spoiled"])
def test_the_keyframes_of_a_damaged_file_are_extracted(whole, tmp_path, kind):
    path = damaged(whole, tmp_path, kind)
    index = index_of(path)
    keyframes.extract(str(path), str(tmp_path / "pictures"), index=index, names=index["keyframes"])
    assert sorted(p.stem for p in (tmp_path / "pictures").glob("[!.]*")) == index["keyframes"]


def test_where_a_seek_leads_to_other_frames_they_are_decoded_from_the_start(whole, monkeypatch):
    index, expected = index_of(whole), [frame.pts for frame in clips.decode(whole)]

    def too_late(path, time):
        yield clips.decode(path)[12]
        pytest.fail("goes on, where it is clear that the frame was passed by")

    monkeypatch.setattr(video, "_sought", too_late)
    assert [f.pts for _, f in video.frames(whole, 10, 14, index)] == expected[10:15]
    monkeypatch.setattr(video, "_sought", lambda path, time: (f for i, f in enumerate(clips.decode(path)) if i != 12))
    assert [f.pts for _, f in video.frames(whole, 10, 14, index)] == expected[10:15]


def test_a_file_that_changed_after_its_index_was_made_is_an_error(whole, tmp_path):
    path = faststart(whole, tmp_path / "fast.mp4")
    index = index_of(path)
    path.write_bytes(path.read_bytes()[: packets(path)[GOP][0]])
    with pytest.raises(UserError, match=r"fast\.mp4: frame 8 is gone: the file has changed since .*; run again"):
        list(video.frames(path, index=index))


def test_without_an_index_a_damaged_file_is_an_error(whole, tmp_path):
    path = spoiled(faststart(whole, tmp_path / "fast.mp4"), GOP)
    with pytest.raises(UserError, match=r"spoiled\.mp4: damaged near frame \d+: a frame cannot be decoded; get"):
        list(video.frames(path))


# ---- what is said ----------------------------------------------------------------------------------------------


def test_a_damaged_file_is_edited_with_a_warning(whole, tmp_path, capsys):
    path = faststart(whole, tmp_path / "fast.mp4")
    path = cut(path, packets(path)[GOP][0])
    index_of(path)
    warning = f"warning: {path}: damaged after 0.280 s: the file is cut off; what can be decoded is edited"
    assert warning in capsys.readouterr().err.splitlines()


def test_a_damaged_file_is_an_error_where_that_is_asked_for(whole, tmp_path):
    path = faststart(whole, tmp_path / "fast.mp4")
    index_of(path, strict=True)
    (tmp_path / "index.json").unlink()
    path = cut(path, packets(path)[GOP][0])
    with pytest.raises(UserError) as caught:
        index_of(path, strict=True)
    assert str(caught.value).startswith(f"{path}: damaged after 0.280 s: the file is cut off; get a whole copy, or")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "index.json").exists()
