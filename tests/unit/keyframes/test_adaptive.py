"""adaptive.py: a keyframe where too much of a frame is not to be seen in the last; and keyframes.py with it."""

import json
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

import clips
from clevam import keyframes
from clevam.adaptive import Adaptive, inside, worst
from clevam.errors import UserError
from shots import AT_REST, Background, Layer, Light, Motion, Shot, Spline, fixed
from things import Look
from world import Scene

SIZE = (90, 160)
ALL = 0.6  # the default
FACTS = {
    "width": 160, "height": 90, "bits": 8, "pix_fmt": "yuv420p", "format": "yuv420p", "rotation": 0,
    "sample_aspect": [1, 1],
}  # fmt: skip


def moving(start: complex, speed: complex = 0, zoom: float = 1, frames: int = 40) -> Motion:
    """From a place in pixels off the middle, so many pixels, and so many times the size, a frame."""
    knots = range(frames + 2)
    place = Spline(tuple((start + speed * t) / SIZE[0] for t in knots), step=1)
    return Motion(place, Spline(tuple(complex(t * np.log(zoom)) for t in knots), step=1))


def thing(start: complex, speed: complex, radius: float, frames: int = 40) -> Layer:
    motion = moving(start, speed, frames=frames)
    return Layer(Look.named("a red striped circle"), Motion(motion.centre, fixed(np.log(radius / SIZE[0]))))


def scene(*layers: Layer, camera: Motion = AT_REST, frames: int = 40) -> Scene:
    """Layers over grass, one frame a second."""
    ground = Layer(Background("grass", seed=1), AT_REST)
    return Scene(SIZE, frames, Fraction(1), (Shot(0, (ground, *layers), camera, Light(-1j, 0.0)),))


def watched(pictures, unreached: float = ALL, box: list | None = None, cuts=(), facts: dict = FACTS) -> Adaptive:
    """What has seen RGB pictures, or a scene."""
    adaptive = Adaptive(unreached, box)
    if isinstance(pictures, Scene):
        pictures = map(pictures.frame, range(pictures.frames))
    for i, picture in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24").reformat(format="yuv420p")
        adaptive.see(i, frame, facts, i in cuts)
    return adaptive


def noisy(picture: np.ndarray, frames: int, spread: float = 8) -> list[np.ndarray]:
    dice = np.random.default_rng(0)
    return [np.uint8(np.clip(picture + dice.normal(0, spread, picture.shape), 0, 255)) for _ in range(frames)]


# ---- which frames ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [900_200, 900_201])
def test_a_still_shot_has_one_keyframe_whatever_its_grain(seed):
    adaptive = watched(noisy(Scene.random(seed, SIZE, frames=1).frame(0), 25))
    assert list(adaptive.reach) == [0]
    assert adaptive.reach[0] <= 4


def test_a_flat_picture_has_one_keyframe():
    assert watched(noisy(np.full((*SIZE, 3), 128), 20)).reach.keys() == {0}


@pytest.mark.parametrize(("speed", "unreached"), [(2, 0.6), (4, 0.6), (2j, 0.6), (2, 0.3)])
def test_a_pan_has_a_keyframe_where_that_much_of_a_cell_has_come_into_view(speed, unreached):
    """A cell is 40 pixels wide and 22.5 high."""
    found = list(watched(scene(camera=moving(0, speed), frames=25), unreached).reach)
    x, y = (min(1, abs(part) / side) for part, side in ((np.real(speed), 40), (np.imag(speed), 22.5)))
    true = next(t for t in range(100) if 1 - max(1 - t * x, 0) * max(1 - t * y, 0) > unreached)
    assert len(found) > 1
    assert all(true - 2 <= b - a <= true + 5 for a, b in pairwise(found))


@pytest.mark.parametrize("zoom", [0.97, 1.04])
def test_a_zoom_has_more_than_one_either_way(zoom):
    assert len(watched(scene(camera=moving(0, zoom=zoom))).reach) > 1


def test_what_is_between_keyframes_is_seen_in_the_one_before():
    """By the world's own word, in every cell."""
    clip = Scene.random(900_205, SIZE, frames=40)
    found = list(watched(clip).reach)
    assert 1 < len(found) < 10
    for a, b in pairwise([*found, 40]):
        assert all(worst(clip.occlusion(t, a)) < ALL + 0.1 for t in range(a, b))
    assert all(worst(clip.occlusion(b, a)) > ALL - 0.35 for a, b in pairwise(found))


def test_an_object_that_comes_in_has_a_keyframe_when_it_is_in():
    come = thing(-110, 4, 20, frames=20)
    found = list(watched(scene(come, frames=20)).reach)
    assert found[0] == 0 and 6 < found[1] < 16  # its edge is in at 3, the middle at 8


def test_a_fast_object_has_more_keyframes_than_a_slow_one_and_a_still_one_has_one():
    counts = [len(watched(scene(thing(-30, speed, 30), frames=25)).reach) for speed in (4, 1, 0)]
    assert counts[0] > counts[1] >= counts[2] == 1
    assert counts[0] >= 3


def test_the_less_may_be_missing_the_more_keyframes_there_are():
    pictures = list(map(scene(thing(-30, 3, 30), frames=25).frame, range(25)))
    counts = [len(watched(pictures, unreached).reach) for unreached in (0.2, 0.5, 0.9)]
    assert counts[0] > counts[1] > counts[2]


def test_a_cut_begins_anew():
    one, other = (Scene.random(seed, SIZE, frames=1).frame(0) for seed in (900_200, 900_201))
    assert list(watched([one] * 5 + [other] * 5, cuts=[5]).reach) == [0, 5]
    assert list(watched([one] * 10, cuts=[5]).reach) == [0, 5]


def test_a_keyframe_says_how_far_things_go_until_the_next():
    (far,) = watched(scene(thing(-20, 1, 20), frames=12)).reach.values()
    assert 9 <= far <= 14
    pictures = [np.kron(p, np.ones((4, 4, 1), np.uint8)) for p in map(scene(thing(-20, 1, 20)).frame, range(12))]
    (far,) = watched(pictures, facts=FACTS | {"width": 640, "height": 360}).reach.values()
    assert 36 <= far <= 56  # in the picture's own pixels


def test_what_it_holds_does_not_grow():
    clip = scene(camera=moving(0, 3))

    def held(frames: int) -> int:
        adaptive = watched(map(clip.frame, range(frames)))
        return sum(a.nbytes for a in (adaptive.key, adaptive.before, *adaptive.ways))

    assert held(3) == held(30) <= 20 * SIZE[0] * SIZE[1]


# ---- region ------------------------------------------------------------------------------------------------------


def test_only_the_region_counts():
    clip = scene(thing(-40 - 20j, 3, 25, frames=20), frames=20)
    assert len(watched(clip).reach) > 1
    assert len(watched(clip, box=[0, 0, 160, 50]).reach) > 1
    assert len(watched(clip, box=[0, 50.4, 160, 90]).reach) == 1


def test_the_region_is_one_of_the_upright_picture():
    stored = [np.rot90(p, -1) for p in map(scene(thing(-40 - 20j, 3, 25, frames=20)).frame, range(20))]
    facts = FACTS | {"width": 90, "height": 160, "rotation": 90}
    assert len(watched(stored, box=[0, 0, 160, 50], facts=facts).reach) > 1
    assert len(watched(stored, box=[0, 50, 160, 90], facts=facts).reach) == 1


@pytest.mark.parametrize(
    ("box", "expected"),
    [([10, 20, 30, 50], [10, 20, 20, 30]), ([-5, 80, 400, 99], [0, 80, 160, 10]), ([0.6, 0, 2, 90], [1, 0, 1, 90])],
)
def test_a_region_is_what_of_a_box_is_in_the_picture(box, expected):
    assert inside(box, (160, 90)) == expected


@pytest.mark.parametrize("box", [[160, 0, 200, 50], [0, -20, 50, 0], [3.1, 0, 3.4, 90]])
def test_a_region_outside_of_the_picture_is_an_error_with_its_size(box):
    with pytest.raises(UserError, match=r"keyframes\.region: \[.*\] lies outside of the upright picture, 160x90"):
        inside(box, (160, 90))


def test_the_worst_cell_is_one_of_sixteen():
    missing = np.zeros((90, 160), bool)
    missing[:12, 40:80] = True
    assert worst(missing) == pytest.approx(12 / 22.5, abs=0.01)
    assert worst(~missing) == pytest.approx(1)


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (64, 2)])
def test_a_picture_of_any_size_is_looked_at(size):
    facts = FACTS | {"width": 2 * size[1], "height": 2 * size[0]}
    pictures = [np.full((2 * size[0], 2 * size[1], 3), 90, np.uint8)] * 3
    assert watched(pictures, box=[0, 0, size[1], size[0]], facts=facts).reach == {0: 0}


# ---- index.json --------------------------------------------------------------------------------------------------


def index_of(path: Path, span: list | None = None) -> dict:
    target = path.parent / "index.json"
    how = {"method": {"adaptive": {}}, "cut_threshold": 27.0, "span": span, "strict": False, "block": 8}
    keyframes.index(str(path), str(target), adaptive=Adaptive(ALL, None), **how)
    return json.loads(target.read_text())


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """A pan of 24 frames, 4 pixels each, and after a cut 10 still frames."""
    pan = map(scene(camera=moving(0, 4)).frame, range(24))
    still = [Scene.random(900_203, SIZE, frames=1).frame(0)] * 10
    return clips.write_clip(tmp_path_factory.mktemp("adaptive") / "clip.mp4", [*pan, *still], crf="12")


def test_a_still_shot_has_its_first_frame_alone_and_all_its_blocks(clip):
    index = index_of(clip)
    assert index["shots"] == [[0, 23], [24, 33]]
    assert index["keyframes"][0] == "000000" and index["keyframes"][-1] == "000024"
    assert len(index["keyframes"]) >= 4
    assert list(index["blocks"]) == ["0000", "0001", "0002", "0003", "0004"]
    assert index["blocks"]["0004"] == []
    assert index["keyframes"][-2] == "000023" not in index["reach"]  # the last frame of a shot that has several
    assert index["reach"]["000000"] > 12 and index["reach"]["000024"] <= 2


def test_a_range_begins_with_a_keyframe_and_what_is_outside_is_not_looked_at(clip):
    index = index_of(clip, span=[4.5 / 25, 6.5 / 25])
    assert (index["segments"], index["keyframes"]) == ([[5, 6]], ["000005"])
    index = index_of(clip, span=[28 / 25, 99])
    assert (index["segments"], index["keyframes"]) == ([[28, 33]], ["000028"])


def test_spaced_keyframes_say_nothing_of_motion(clip):
    target = clip.parent / "spaced.json"
    how = {"method": {"every": 12}, "cut_threshold": 27.0, "span": None, "strict": False, "block": 8}
    keyframes.index(str(clip), str(target), **how)
    assert json.loads(target.read_text())["reach"] == {}


def test_a_shot_with_more_than_one_keyframe_ends_with_one():
    assert keyframes.choose([[0, 9], [10, 19], [20, 20]], [], {"adaptive": [0, 4, 10, 20]}) == [0, 4, 9, 10, 20]
