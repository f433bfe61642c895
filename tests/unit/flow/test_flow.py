"""Motion between frames and keyframes: what is measured, what is stored, and what is made of it."""

import gzip
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest

from clevam import flow
from clevam.errors import UserError
from clips import write_clip
from conftest import index_of
from world import Scene
from zoo import cut, flipped

SIZE = (180, 320)


def texture(height: int = 120, width: int = 160, shift: tuple[int, int] = (0, 0)) -> np.ndarray:
    """Smooth noise, uint8; `shift` (x, y) moves what is seen right and down."""
    noise = np.random.default_rng(0).integers(0, 256, (height + 60, width + 60)).astype(np.float32)
    soft = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    return soft[30 - shift[1] : 30 - shift[1] + height, 30 - shift[0] : 30 - shift[0] + width].copy()


def interior(array: np.ndarray, margin: int = 24) -> np.ndarray:
    return array[margin:-margin, margin:-margin]


def gray(scene: Scene, t: int) -> np.ndarray:
    return cv2.cvtColor(scene.frame(t), cv2.COLOR_RGB2GRAY)


def found_in(scene: Scene, *times: int) -> tuple[list[flow.Motion], list[flow.Motion]]:
    """`between` of some frames as the stage sees them, thinned, in pixels and at every pixel."""
    method = flow.Dis("medium")
    seen = [flow.thinned(gray(scene, t), method.step) for t in times]
    ways = flow.between(seen, method)
    return tuple(
        [tuple(cv2.resize(p, SIZE[::-1]) * k for p, k in zip(pair, (2, 1), strict=True)) for pair in way]
        for way in ways
    )


def gap(a: int, b: int, box: list | None) -> list:
    """The frames between two keyframes, as plan.json has them."""
    return [[a, b], [a + 1, b - 1], box]


def measure(path: Path, target: Path, motion: list, frames: tuple[int, int] = (0, 99)) -> list[str]:
    """The names of the files that it writes."""
    options = {"index": index_of(path), "frames": list(frames), "method": flow.Dis("medium")}
    flow.measure(str(path), str(target), motion=motion, **options)
    return sorted(file.name for file in target.glob("[!.]*"))


def motion(here: np.ndarray, there: np.ndarray, preset: str = "medium") -> flow.Motion:
    """From a picture to the keyframe before it."""
    return flow.between([there, here, here], flow.Dis(preset))[0][0]


def uniform(x: float, y: float, size: tuple[int, int] = (8, 12)) -> tuple[np.ndarray, np.ndarray]:
    """The same displacement everywhere, wholly sure."""
    return np.broadcast_to(np.float32([x, y]), (*size, 2)).copy(), np.ones(size, np.float32)


# ---- the estimate ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "preset, tolerance, least", [("ultrafast", 0.6, 0.5), ("fast", 0.5, 0.5), ("medium", 0.2, 0.9)]
)
@pytest.mark.parametrize("shift", [(3, -2), (-7, 5)])
def test_a_shifted_picture_gives_its_shift_and_is_sure_of_it(preset, tolerance, least, shift):
    found, sure = motion(texture(), texture(shift=shift), preset)
    assert np.abs(interior(found) - shift).max() < tolerance
    assert np.median(interior(sure)) > least


def test_nothing_moves_among_pictures_that_are_the_same():
    for ways in flow.between([texture()] * 4, flow.Dis("medium")):
        assert len(ways) == 2
        for found, sure in ways:
            assert np.abs(found).max() < 0.01
            assert sure.min() > 0.99


def test_what_leaves_the_picture_is_not_sure():
    sure = motion(texture(), texture(shift=(7, 0)))[1]
    assert sure[24:-24, -6:].max() < 0.1
    assert sure[24:-24, 24:-24].min() > 0.7


def test_ground_that_an_object_comes_to_cover_is_not_sure():
    here, there = texture(), texture()
    here[30:90, 30:90] = there[30:90, 38:98] = 255 - texture(60, 60)
    sure = motion(here, there)[1]
    assert np.median(sure[34:86, 90:98]) < 0.05  # in `there` the object is upon it
    assert np.median(sure[34:86, 34:86]) > 0.9  # the object itself
    assert sure[:18].min() > 0.9


def test_true_motion_of_a_scene_is_found_where_nothing_is_hidden():
    scene = Scene.random(900_049, size=SIZE, frames=13)
    ends = zip((0, 12), found_in(scene, *range(13)), strict=True)
    for k, ways in ends:
        assert len(ways) == 11
        for i in (1, 6, 11):
            found, sure = ways[i - 1]
            error, hidden = np.linalg.norm(found - scene.flow(i, k), axis=-1), scene.occlusion(i, k)
            assert error[~hidden].mean() < 0.6
            assert sure[~hidden].mean() > 0.75
            if abs(i - k) > 1:
                assert sure[hidden].mean() < 0.25


def test_every_inner_picture_has_its_own_motion_to_either_end_in_their_order():
    pictures = [texture(shift=shift) for shift in [(0, 0), (2, 0), (5, 1), (6, -3), (4, -4)]]
    first, last = flow.between(pictures, flow.Dis("medium"))
    for ways, expected in [
        (first, [(-2, 0), (-5, -1), (-6, 3)]),
        (last, [(2, -4), (-1, -5), (-2, -1)]),
    ]:
        medians = [np.median(interior(found), axis=(0, 1)) for found, _ in ways]
        assert np.allclose(medians, expected, atol=0.1)


def test_two_pictures_have_nothing_between_them():
    assert flow.between([texture(), texture()], flow.Dis("medium")) == ([], [])


def test_what_is_between_two_pictures_does_not_depend_on_what_was_asked_before():
    pictures = [texture(shift=(3 * t, t)) for t in range(4)]
    used = flow.Dis("medium")
    flow.between([texture(80, 100, shift=(5 * t, 0)) for t in range(3)], used)
    fresh = [array for ways in flow.between(pictures, flow.Dis("medium")) for pair in ways for array in pair]
    for _ in range(2):
        again = [array for ways in flow.between(pictures, used) for pair in ways for array in pair]
        assert all(np.array_equal(a, b) for a, b in zip(fresh, again, strict=True))


def test_after_a_last_keyframe_every_picture_has_its_motion_to_that():
    shifts = [(0, 0), (2, 0), (5, 1), (6, -3)]
    (ways,) = flow.after([texture(shift=shift) for shift in shifts], flow.Dis("medium"))
    medians = [np.median(interior(found), axis=(0, 1)) for found, _ in ways]
    assert np.allclose(medians, -np.float32(shifts[1:]), atol=0.1)


def test_motion_to_the_keyframe_before_is_the_same_whether_there_is_one_after_or_not():
    pictures, method = [texture(shift=(3 * t, t)) for t in range(4)], flow.Dis("medium")
    (alone,), (first, _) = flow.after(pictures[:-1], method), flow.between(pictures, method)
    assert all(np.array_equal(*pair) for ways in zip(alone, first, strict=True) for pair in zip(*ways, strict=True))


def test_a_picture_at_the_other_end_of_a_jump_is_found():
    """A block of frames begins far from the keyframe before it."""
    scene = Scene.random(900_049, size=SIZE, frames=13)
    found, sure = found_in(scene, 0, 7, 8, 9)[0][0]
    error, hidden = np.linalg.norm(found - scene.flow(7, 0), axis=-1), scene.occlusion(7, 0)
    assert np.linalg.norm(scene.flow(7, 0), axis=-1)[~hidden].max() > 9
    assert error[~hidden].mean() < 0.5
    assert sure[~hidden].mean() > 0.75


@pytest.mark.parametrize("height, width", [(1, 1), (2, 3), (7, 200), (63, 65)])
def test_a_tiny_or_odd_box_has_motion_of_its_own_size(height, width):
    picture = texture(max(height, 8), max(width, 8))[:height, :width]
    for ways in flow.between([picture] * 4, flow.Dis("medium")):
        assert len(ways) == 2
        for found, sure in ways:
            assert (found.shape, sure.shape) == ((height, width, 2), (height, width))
            assert (found.dtype, sure.dtype) == (np.float32, np.float32)
            assert np.abs(found).max() < 0.1


# ---- small steps -------------------------------------------------------------------------------------------------


def waves(t: int, speed: int = 3, period: int = 24) -> np.ndarray:
    """A pattern that repeats itself every `period` pixels, in frame t."""
    y, x = np.mgrid[:96, :160] * (2 * np.pi / period)
    return np.uint8(127.5 + 60 * np.sin(x - 2 * np.pi * speed * t / period) + 60 * np.sin(y))


def test_small_steps_lead_where_one_look_at_a_repeating_pattern_cannot():
    pictures, method = [waves(t) for t in range(9)], flow.Dis("medium")
    first, last = flow.between(pictures, method)
    for i in range(1, 8):
        for (found, sure), k in ((first[i - 1], 0), (last[i - 1], 8)):
            assert np.abs(interior(found) - [3 * (k - i), 0]).max() < 0.2
            assert interior(sure).min() > 0.6
    direct = method(pictures[7], pictures[0])
    assert np.abs(interior(direct) - [3, 0]).max() < 0.2  # -21, as far as it can tell


SIDE = 48


class Told:
    """A method that finds what it is told, {(from, to): displacement}; told[1, 0, "guess"] is for when it is guided."""

    def __init__(self, told: dict) -> None:
        self.pictures = [np.full((SIDE, SIDE), 100, np.uint8) for _ in range(4)]  # all look alike
        self.told, self.guesses = told, {}

    def __call__(self, here: np.ndarray, there: np.ndarray, guess: np.ndarray | None = None) -> np.ndarray:
        pair = tuple(next(i for i, p in enumerate(self.pictures) if p is one) for one in (here, there))
        if guess is not None:
            self.guesses[pair] = guess.copy()
        answer = self.told.get((*pair, "guess") if guess is not None else pair, (0, 0))
        return np.broadcast_to(np.float32(answer), (SIDE, SIDE, 2)).copy()

    def between(self) -> tuple[list[flow.Motion], list[flow.Motion]]:
        return flow.between(self.pictures, self)


# The way from picture 2 to picture 0 by way of picture 1, and back.
STEPS = {(1, 0): (2, 0), (0, 1): (-2, 0), (2, 1): (3, 1), (1, 2): (-3, -1), (1, 0, "guess"): (2, 0)}


def test_where_a_direct_look_disagrees_with_the_way_back_the_steps_lead_to_the_keyframe():
    found, sure = Told(STEPS | {(2, 0, "guess"): (9, 9)}).between()[0][1]
    assert np.allclose(interior(found, 12), [5, 1])
    assert np.allclose(interior(sure, 12), 1)


def test_the_steps_lead_on_from_where_they_led_though_no_direct_look_is_right():
    steps = {(i, i + way): (2 * way, 0) for i in range(4) for way in (1, -1)}
    wrong = {(1, 0, "guess"): (9, 0), (2, 0, "guess"): (9, 0)}
    first, _ = Told(steps | wrong).between()
    assert [np.median(found[..., 0]) for found, _ in first] == [-2, -4]


def test_where_the_steps_disagree_with_the_way_back_a_direct_look_is_taken():
    found, sure = Told(STEPS | {(2, 1): (8, 8), (2, 0, "guess"): (5, 1)}).between()[0][1]
    assert np.allclose(interior(found, 12), [5, 1])
    assert np.allclose(interior(sure, 12), 1)


def test_the_surer_way_is_taken_pixel_by_pixel():
    direct, step, back = np.zeros((3, SIDE, SIDE, 2), np.float32)
    direct[:, :24], direct[:, 24:] = (9, 9), (6, 1)  # it is lost on the left
    step[:, :30], step[:, 30:] = (3, 1), (8, 8)  # the steps are lost on the right
    back[:, :30], back[:, 30:] = (-3, -1), (-4, -1)
    found, _ = Told(STEPS | {(2, 1): step, (1, 2): back, (2, 0, "guess"): direct}).between()[0][1]
    assert np.allclose(found[10:-10, 8:16], [5, 1])
    assert np.allclose(found[10:-10, 34:38], [6, 1])


def test_a_direct_look_begins_where_the_steps_lead():
    method = Told(STEPS | {(2, 3): (1, -2), (3, 2): (-1, 2)})
    method.between()
    expected = {(1, 0): (2, 0), (2, 0): (5, 1), (2, 3): (1, -2)}
    assert {pair: tuple(method.guesses[pair][24, 24].tolist()) for pair in expected} == expected


def sideways(left: float, right: float, at: int = 24) -> np.ndarray:
    """A displacement [SIDE, SIDE, 2] that is another one from column `at` on."""
    field = np.zeros((SIDE, SIDE, 2), np.float32)
    field[:, :at, 0], field[:, at:, 0] = left, right
    return field


def test_each_step_is_the_one_of_the_place_that_was_come_to():
    method = Told({(2, 1): sideways(10, 2), (1, 0): sideways(1, 4), (1, 0, "guess"): sideways(1, 4)})
    method.between()
    assert method.guesses[2, 0][24, :, 0].tolist() == [10 + 1] * 14 + [10 + 4] * 10 + [2 + 4] * 24


def test_the_way_back_takes_the_steps_from_the_keyframe_on():
    x = np.zeros((SIDE, SIDE, 2), np.float32)
    x[..., 0] = np.arange(SIDE)
    larger, smaller, on, off = 0.1 * x, x / 1.1 - x, (4, 0), (-4, 0)
    wrong = {(1, 0, "guess"): (9, 9), (2, 0, "guess"): (9, 9)}
    found, sure = Told({(1, 0): larger, (0, 1): smaller, (2, 1): on, (1, 2): off} | wrong).between()[0][1]
    assert np.allclose(found[24, 4:30, 0], 0.1 * x[24, 4:30, 0] + 4.4, atol=1e-3)
    assert sure[10:-10, 4:30].min() > 0.99


def test_one_displacement_after_the_other_begins_where_the_first_one_ends():
    onwards = np.zeros((8, 12, 2), np.float32)
    onwards[:, 6:] = (5, -2)
    assert np.array_equal(flow.then(uniform(0, 0)[0], onwards), onwards)
    assert flow.then(uniform(3, 1)[0], onwards)[4].tolist() == [[3, 1]] * 3 + [[8, -1]] * 9


# ---- dense inverse search ----------------------------------------------------------------------------------------


def test_a_guess_leads_to_what_is_too_fine_and_too_far_to_be_found_without():
    grain = np.random.default_rng(0).integers(0, 256, (120, 200)).astype(np.float32)
    grain = cv2.normalize(cv2.GaussianBlur(grain, (0, 0), 1), None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    here, there = grain[:, 20:180], grain[:, :160]  # 20 pixels to the right
    method, guess = flow.Dis("medium"), uniform(18, 1, (120, 160))[0]
    assert np.abs(interior(method(here, there, guess)) - [20, 0]).max() < 0.2
    assert np.abs(interior(method(here, there)) - [20, 0]).max(-1).min() > 1


@pytest.mark.parametrize("size", [(96, 160), (20, 30)])
def test_a_guess_stays_as_it_is(size):
    guess = uniform(2, 0, size)[0]
    flow.Dis("fast")(texture(*size), texture(*size, shift=(3, 0)), guess)
    assert np.array_equal(guess, uniform(2, 0, size)[0])


def test_it_may_be_asked_in_turns_with_and_without_a_guess_in_changing_sizes():
    code = """
import numpy as np
from clevam.flow import Dis

method = Dis("fast")
for size in [(64, 64), (100, 80), (300, 200), (64, 300)] * 2:
    pair = np.random.default_rng(0).integers(0, 256, (2, *size), dtype=np.uint8)
    for guess in (None, np.zeros((*size, 2), np.float32), None):
        assert method(*pair, guess).shape == (*size, 2)
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0  # not in this process, which it may crash


def test_dense_inverse_search_does_not_wait_for_torch():
    code = "import sys; from clevam import flow; flow.Dis('fast'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# ---- certainty ---------------------------------------------------------------------------------------------------

FLAT = np.full((40, 60), 100, np.uint8)


def certainty(forward=(0, 0), backward=(0, 0), here=FLAT, there=FLAT) -> np.ndarray:
    """Of uniform displacements."""
    return flow.certainty(*(uniform(*way, here.shape[:2])[0] for way in (forward, backward)), here, there)


@pytest.mark.parametrize("error, expected", [(0, 1), (0.5, 2 / 3), (1, 1 / 2), (3, 1 / 4), (9, 1 / 10)])
def test_one_sample_of_disagreement_is_half_sure_and_more_is_less(error, expected):
    sure = certainty(forward=(3, 4), backward=(-3, error - 4))
    assert sure.dtype == np.float32
    assert np.allclose(interior(sure, 8), expected)


def test_the_way_back_is_asked_for_where_the_way_there_leads():
    there, back = uniform(10, 0, (40, 60))[0], uniform(0, 0, (40, 60))[0]
    back[:, 30:] = (-10, 0)
    sure = flow.certainty(there, back, FLAT, FLAT)
    assert np.allclose(sure[:, 20:49], 1)
    assert sure[:, :19].max() < 0.1


def test_what_leaves_the_box_is_not_sure_though_its_way_back_would_agree():
    sure = certainty(forward=(7, 0), backward=(-7, 0))
    assert (np.allclose(sure[:, :53], 1), sure[:, 53:].max()) == (True, 0)


@pytest.mark.parametrize("by, expected", [(0, 1), (5, 1 / 2), (10, 1 / 17), (-10, 1 / 17), (100, 0)])
def test_where_the_brightness_differs_what_agrees_is_not_sure(by, expected):
    assert np.allclose(certainty(there=(FLAT.astype(int) + by).astype(np.uint8)), expected, atol=1e-5)


@pytest.mark.parametrize("here, there", [(0, 255), (255, 0), (10, 250)])
def test_the_difference_of_bright_and_dark_does_not_run_over(here, there):
    assert certainty(here=np.full_like(FLAT, here), there=np.full_like(FLAT, there)).max() < 1e-6


def test_both_ends_are_compared_where_the_motion_leads():
    here = texture()
    there = texture(shift=(4, -3))
    assert interior(certainty((4, -3), (-4, 3), here, there)).min() > 0.999
    assert np.median(certainty((4, 3), (-4, -3), here, there)) < 0.05


def test_colours_differ_by_the_mean_of_their_three_channels():
    here = np.dstack([FLAT] * 3)
    there = here + np.uint8([15, 0, 0])
    assert np.allclose(certainty(here=here, there=there), 1 / 2)


def test_only_the_place_that_differs_is_unsure_and_a_single_pixel_of_noise_is_forgiven():
    there = FLAT.copy()
    there[10:30, 10:30] = 150
    there[20, 50] += 10
    sure = certainty(there=there)
    assert sure[10:30, 10:30].max() < 0.01
    assert sure[20, 50] > 0.9
    assert sure[:, 36:46].min() > 0.999


def test_weights_are_how_near_and_how_sure_the_keyframes_are_and_add_up_to_1():
    ways = [uniform(-2, 1), uniform(5, 0)]
    ways[0][1][:, 6:] = 0.25
    (there, one), (onwards, other) = flow.weighed(ways, 3, 0, 12)
    assert there is ways[0][0] and onwards is ways[1][0]
    assert np.allclose(one + other, 1)
    assert np.allclose(one[:, :6], 3 / 4)
    assert np.allclose(one[:, 6:], 0.25 * 9 / (0.25 * 9 + 3), atol=1e-3)


@pytest.mark.parametrize("sure, expected", [((1, 0), 1), ((0, 1), 0), ((0, 0), 1 / 4), ((1e-3, 1e-3), 1 / 4)])
def test_what_is_not_sure_of_its_own_weighs_nothing_unless_the_other_is_neither(sure, expected):
    first, last = ((uniform(0, 0)[0], np.full((8, 12), each, np.float32)) for each in sure)
    ways = [first, last]
    (_, one), (_, other) = flow.weighed(ways, 9, 0, 12)
    assert np.allclose(one, expected, atol=5e-3)
    assert np.allclose(one + other, 1)


def test_a_keyframe_that_is_alone_weighs_all_however_unsure():
    here = uniform(-2, 1)[0], np.float32([[0, 1e-3, 0.5, 1]])
    ((way, weight),) = flow.weighed([here], 7, 3)
    assert way is here[0] and weight.tolist() == [[1] * 4]


# ---- warping -----------------------------------------------------------------------------------------------------


def test_warp_fetches_each_pixel_from_where_the_flow_points():
    picture = np.arange(12, dtype=np.float32).reshape(3, 4)
    moved = flow.warp(picture, uniform(1, 0, (3, 4))[0])
    assert moved.tolist() == [[1, 2, 3, 3], [5, 6, 7, 7], [9, 10, 11, 11]]


def test_warp_fetches_a_part_of_a_picture_where_it_lies():
    picture = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert flow.warp(picture, uniform(0, 0, (2, 2))[0], at=(1, 1)).tolist() == [[5, 6], [9, 10]]
    assert flow.warp(picture, uniform(-1, -1, (2, 3))[0], at=(2, 0)).tolist() == [[1, 2, 3], [1, 2, 3]]


def test_warp_takes_a_share_of_both_neighbours_between_pixels():
    picture = np.float32([[0, 10, 20]])
    assert flow.warp(picture, uniform(0.5, 0, (1, 3))[0])[0, :2].tolist() == [5, 15]


def test_true_flow_rebuilds_a_frame_from_another():
    scene = Scene.random(900_049, size=SIZE, frames=13)
    rebuilt = flow.warp(scene.frame(12), scene.flow(6, 12)).astype(float)
    error = np.abs(rebuilt - scene.frame(6)).max(-1)[~scene.occlusion(6, 12)]
    assert error.mean() < 4


# ---- files -------------------------------------------------------------------------------------------------------


def test_stored_motion_comes_back_within_half_a_unit(tmp_path):
    flow.write(tmp_path / "f.npy.gz", uniform(3.14159, -0.7), uniform(-1000.3, 5))
    stored = flow.read(tmp_path / "f.npy.gz", [40, 50, 12, 8])
    for (found, sure), true in zip(stored, [(3.14159, -0.7), (-1000.3, 5)], strict=True):
        assert np.abs(found - np.float32(true)).max() <= 0.5 / 32 + 1e-4
        assert np.array_equal(sure, np.ones((8, 12)))


@pytest.mark.parametrize("height, width", [(1, 1), (1, 9), (33, 50), (64, 65)])
def test_a_smooth_field_of_any_size_loses_little_by_thinning(tmp_path, height, width):
    y, x = np.mgrid[:height, :width].astype(np.float32)
    field = np.stack([5 * np.sin(x / 20), 5 * np.cos(y / 20)], -1), np.ones((height, width), np.float32)
    flow.write(tmp_path / "f.npy.gz", field, field)
    found, sure = flow.read(tmp_path / "f.npy.gz", [0, 0, width, height])[1]
    assert (found.shape, sure.shape) == ((height, width, 2), (height, width))
    # thinned by 2, a slope of 1/4 pixel per pixel is off by at most half a pixel's worth at the border
    assert np.abs(found - field[0]).max() < 1 / 32 + 0.25


def test_motion_to_one_keyframe_is_stored_and_read_without_another(tmp_path):
    flow.write(tmp_path / "f.npy.gz", uniform(3, -1))
    ((found, _),) = flow.read(tmp_path / "f.npy.gz", [0, 0, 12, 8])
    assert np.array_equal(found, uniform(3, -1)[0])


def test_certainty_comes_back_within_one_level(tmp_path):
    half = uniform(0, 0)[0], np.full((8, 12), 0.3, np.float32)
    flow.write(tmp_path / "f.npy.gz", half, uniform(0, 0))
    assert np.abs(flow.read(tmp_path / "f.npy.gz", [0, 0, 12, 8])[0][1] - 0.3).max() <= 0.5 / 255 + 1e-6


def test_a_scene_takes_less_than_a_byte_per_pixel_and_direction(tmp_path):
    scene = Scene.random(5, size=SIZE, frames=13)
    (first,), (last,) = flow.between([gray(scene, t) for t in (0, 6, 12)], flow.Dis("medium"))
    flow.write(tmp_path / "f.npy.gz", first, last)
    assert (tmp_path / "f.npy.gz").stat().st_size < 2 * SIZE[0] * SIZE[1]


def test_wrong_bits_in_a_file_are_noticed(tmp_path):
    flow.write(tmp_path / "000003.npy.gz", uniform(1, 2, (16, 24)))
    whole = (tmp_path / "000003.npy.gz").read_bytes()
    ((expected, _),) = flow.read(tmp_path / "000003.npy.gz", [0, 0, 24, 16])
    refused = 0
    for data in (*flipped(whole, 200, seed=7), *cut(whole, 20)):
        (tmp_path / "000003.npy.gz").write_bytes(data)
        try:
            ((found, _),) = flow.read(tmp_path / "000003.npy.gz", [0, 0, 24, 16])
            assert np.array_equal(found, expected)  # what is wrong is in the header, and read by nobody
        except UserError:
            refused += 1
    assert refused > 150


def test_a_file_with_code_in_it_is_refused_and_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return open, (str(tmp_path / "sprung"), "w")

    arrays = BytesIO()
    np.save(arrays, np.array([Trap()]), allow_pickle=True)
    (tmp_path / "000003.npy.gz").write_bytes(gzip.compress(arrays.getvalue()))
    with pytest.raises(UserError, match="000003.npy.gz: missing or damaged; delete the folder"):
        flow.read(tmp_path / "000003.npy.gz", [0, 0, 24, 16])
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda good: b"", id="empty"),
        pytest.param(lambda good: b"hello", id="text"),
        pytest.param(lambda good: good[: len(good) // 2], id="half"),
        pytest.param(lambda good: good[:60] + bytes(40) + good[100:], id="zeros"),
    ],
)
def test_a_damaged_file_is_named_with_the_folder_to_delete(tmp_path, damage):
    path = tmp_path / "000003.npy.gz"
    flow.write(path, uniform(1, 1), uniform(2, 2))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(
        UserError, match=f"000003.npy.gz: missing or damaged; delete the folder {tmp_path} and run again"
    ):
        flow.read(path, [0, 0, 12, 8])


def test_a_missing_file_is_named_with_the_folder_to_delete(tmp_path):
    with pytest.raises(UserError, match="000003.npy.gz: missing or damaged; delete the folder"):
        flow.read(tmp_path / "000003.npy.gz", [0, 0, 12, 8])


# ---- a block of a clip -------------------------------------------------------------------------------------------


def test_frames_strictly_between_two_keyframes_have_a_file(clip, tmp_path):
    names = measure(clip, tmp_path / "0000", [gap(0, 4, [0, 0, 96, 64]), gap(4, 6, [0, 0, 96, 64])])
    assert names == ["000001.npy.gz", "000002.npy.gz", "000003.npy.gz", "000005.npy.gz"]


def test_frames_outside_the_block_have_no_file(clip, tmp_path):
    assert measure(clip, tmp_path / "0001", [gap(0, 8, [0, 0, 96, 64])], (4, 5)) == ["000004.npy.gz", "000005.npy.gz"]


def test_an_interval_without_a_box_has_no_file(clip, tmp_path):
    assert measure(clip, tmp_path / "0000", [gap(0, 4, None), gap(4, 6, [0, 0, 96, 64])]) == ["000005.npy.gz"]


def test_a_block_without_motion_is_an_empty_folder(clip, tmp_path):
    assert measure(clip, tmp_path / "0000", []) == []


def test_a_file_leads_to_the_keyframe_before_and_to_the_one_after(clip, tmp_path):
    box = [0, 0, 61, 35]
    measure(clip, tmp_path / "0000", [gap(2, 6, box)])
    stored = flow.read(tmp_path / "0000" / "000005.npy.gz", box)
    square = np.s_[11:17, 8:14]  # in frame 5 the square covers x 5 to 16, y 8 to 19
    assert np.abs(stored[0][0][square] - [-3, 0]).max() < 0.3
    assert np.abs(stored[1][0][square] - [1, 0]).max() < 0.3


def test_a_block_in_the_middle_leads_to_the_keyframes_of_other_blocks(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", [texture(shift=(i, -i)) for i in range(10)], crf="5")
    box = [10, 4, 140, 110]
    assert measure(path, tmp_path / "0001", [gap(0, 9, box)], (5, 6)) == ["000005.npy.gz", "000006.npy.gz"]
    for i in (5, 6):
        ways = flow.read(tmp_path / "0001" / f"{i:06d}.npy.gz", box)
        for (found, _), k in zip(ways, (0, 9), strict=True):
            assert np.abs(interior(found) - [k - i, i - k]).max() < 0.3


def test_frames_after_a_segments_last_keyframe_lead_to_it_alone(clip, tmp_path):
    box = [0, 0, 61, 35]
    assert measure(clip, tmp_path / "0000", [[[2], [3, 6], box]], (4, 9)) == [
        "000004.npy.gz",
        "000005.npy.gz",
        "000006.npy.gz",
    ]
    ((found, _),) = flow.read(tmp_path / "0000" / "000006.npy.gz", box)
    assert np.abs(found[11:17, 9:15] - [-4, 0]).max() < 0.3  # where the square is


def test_far_from_its_keyframes_a_block_decodes_them_and_itself_alone(tmp_path, monkeypatch):
    path, asked, frames = write_clip(tmp_path / "clip.mp4", [texture()] * 20), [], flow.video.frames
    monkeypatch.setattr(flow, "SEEK", 4)
    monkeypatch.setattr(flow.video, "frames", lambda path, *what: asked.append(what[:2]) or frames(path, *what))
    assert len(measure(path, tmp_path / "0001", [gap(0, 15, [0, 0, 160, 120])], (7, 10))) == 4
    assert asked == [(), (0, 0), (7, 10), (15, 15)]  # the first is for the index
    asked.clear()
    assert len(measure(path, tmp_path / "0002", [[[0], [1, 19], [0, 0, 160, 120]]], (3, 6))) == 4
    assert asked == [(), (0, 6)]


def test_a_block_decodes_the_source_once(tmp_path, monkeypatch):
    path, asked, frames = write_clip(tmp_path / "clip.mp4", [texture()] * 20), [], flow.video.frames
    monkeypatch.setattr(flow.video, "frames", lambda path, *what: asked.append(what[:2]) or frames(path, *what))
    box, other = [0, 0, 160, 120], [10, 10, 90, 70]
    assert len(measure(path, tmp_path / "0000", [gap(0, 4, box), gap(4, 8, other), gap(9, 12, box)])) == 8
    assert asked == [(), (0, 12)]  # the first is for the index


def test_motion_is_the_same_whatever_else_a_block_holds(clip, tmp_path):
    box, other = [0, 0, 96, 64], [8, 0, 60, 50]
    measure(clip, tmp_path / "all", [gap(0, 2, box), gap(2, 5, other), gap(5, 8, box)])
    measure(clip, tmp_path / "one", [gap(2, 5, other)])
    for name in ("000003.npy.gz", "000004.npy.gz"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "all" / name).read_bytes()


def test_motion_is_measured_inside_the_box(clip, tmp_path):
    measure(clip, tmp_path / "0000", [gap(0, 2, [40, 30, 51, 33])])
    found, sure = flow.read(tmp_path / "0000" / "000001.npy.gz", [40, 30, 51, 33])[1]
    assert np.abs(found).max() < 0.2  # still ground, the square is elsewhere


@pytest.mark.parametrize(
    "rotation, expected",
    [(0, [2, 0]), (90, [0, -2]), (180, [-2, 0]), (270, [0, 2])],
)
def test_a_rotated_clip_has_its_motion_in_upright_pixels(tmp_path, rotation, expected):
    frames = [texture(96, 128, shift=(2 * i, 0)) for i in range(3)]
    path = write_clip(tmp_path / "clip.mp4", frames, rotation=rotation, crf="1")
    size = (96, 128) if rotation % 180 else (128, 96)
    measure(path, tmp_path / "0000", [gap(0, 2, [0, 0, *size])])
    found = flow.read(tmp_path / "0000" / "000001.npy.gz", [0, 0, *size])[1][0]
    assert np.abs(interior(found) - expected).max() < 0.3


def test_an_anamorphic_clip_has_its_motion_in_square_pixels(tmp_path):
    frames = [texture(96, 128, shift=(2 * i, 2 * i)) for i in range(3)]
    path = write_clip(tmp_path / "clip.mp4", frames, aspect=2, crf="1")
    measure(path, tmp_path / "0000", [gap(0, 2, [0, 0, 256, 96])])
    found = flow.read(tmp_path / "0000" / "000001.npy.gz", [0, 0, 256, 96])[1][0]
    assert np.abs(interior(found) - [4, 2]).max() < 0.4
