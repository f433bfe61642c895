"""Motion between frames and keyframes: what is measured, what is stored, and what is made of it."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from clevam import flow
from clevam.errors import UserError
from clips import write_clip
from conftest import index_of
from world import Scene

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


def measure(path: Path, target: Path, motion: list, frames: tuple[int, int] = (0, 99)) -> list[str]:
    """The names of the files that it writes."""
    options = {"index": index_of(path), "frames": list(frames), "method": flow.Dis("medium")}
    flow.measure(str(path), str(target), motion=motion, **options)
    return sorted(file.name for file in target.iterdir())


def uniform(x: float, y: float, size: tuple[int, int] = (8, 12)) -> tuple[np.ndarray, np.ndarray]:
    """The same displacement everywhere, wholly sure."""
    return np.broadcast_to(np.float32([x, y]), (*size, 2)).copy(), np.ones(size, np.float32)


# ---- the estimate ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset, tolerance", [("ultrafast", 0.5), ("fast", 0.5), ("medium", 0.1)])
@pytest.mark.parametrize("shift", [(3, -2), (-7, 5)])
def test_a_shifted_picture_gives_its_shift_and_is_sure_of_it(preset, tolerance, shift):
    found, sure = flow.Estimator(flow.Dis(preset))(texture(), texture(shift=shift))
    assert np.abs(interior(found) - shift).max() < tolerance
    assert interior(sure).min() > 0.6
    assert np.median(interior(sure)) > 0.9


def test_nothing_moves_between_a_picture_and_itself():
    found, sure = flow.Estimator(flow.Dis("medium"))(texture(), texture())
    assert np.abs(found).max() < 0.01
    assert sure.min() > 0.99


def test_what_leaves_the_picture_is_not_sure():
    sure = flow.Estimator(flow.Dis("medium"))(texture(), texture(shift=(7, 0)))[1]
    assert sure[24:-24, -6:].max() < 0.05
    assert sure[24:-24, -30:-10].min() > 0.9


def test_ground_that_an_object_comes_to_cover_is_not_sure():
    here, there = texture(), texture()
    here[30:90, 30:90] = there[30:90, 38:98] = 255 - texture(60, 60)
    sure = flow.Estimator(flow.Dis("medium"))(here, there)[1]
    assert np.median(sure[34:86, 90:98]) < 0.05  # in `there` the object is upon it
    assert np.median(sure[34:86, 34:86]) > 0.95  # the object itself
    assert sure[:18].min() > 0.95


def test_an_estimate_does_not_depend_on_the_pictures_before():
    fresh, used = flow.Estimator(flow.Dis("medium")), flow.Estimator(flow.Dis("medium"))
    used(texture(80, 100), texture(80, 100, shift=(5, 5)))
    pair = texture(), texture(shift=(3, 1))
    assert np.array_equal(fresh(*pair)[0], used(*pair)[0])


def test_true_motion_of_a_scene_is_found_where_nothing_is_hidden():
    scene = Scene.random(900_049, size=SIZE, frames=13)
    found, sure = flow.Estimator(flow.Dis("medium"))(gray(scene, 6), gray(scene, 12))
    error = np.linalg.norm(found - scene.flow(6, 12), axis=-1)
    hidden = scene.occlusion(6, 12)
    assert error[~hidden].mean() < 0.4
    assert sure[~hidden].mean() > 0.9
    assert sure[hidden].mean() < 0.35


def test_dense_inverse_search_does_not_wait_for_torch():
    code = "import sys; from clevam import flow; flow.Dis('fast'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("height, width", [(1, 1), (2, 3), (7, 200), (63, 65)])
def test_a_tiny_or_odd_box_has_an_estimate_of_its_own_size(height, width):
    picture = texture(max(height, 8), max(width, 8))[:height, :width]
    found, sure = flow.Estimator(flow.Dis("medium"))(picture, picture)
    assert (found.shape, sure.shape) == ((height, width, 2), (height, width))
    assert np.abs(found).max() < 0.1


# ---- warping -----------------------------------------------------------------------------------------------------


def test_warp_fetches_each_pixel_from_where_the_flow_points():
    picture = np.arange(12, dtype=np.float32).reshape(3, 4)
    moved = flow.warp(picture, uniform(1, 0, (3, 4))[0])
    assert moved.tolist() == [[1, 2, 3, 3], [5, 6, 7, 7], [9, 10, 11, 11]]


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
    flow.write(tmp_path / "f.npz", uniform(3.14159, -0.7), uniform(-1000.3, 5))
    stored = flow.read(tmp_path / "f.npz", [40, 50, 12, 8])
    for name, true in {"first": (3.14159, -0.7), "last": (-1000.3, 5)}.items():
        found, sure = stored[name]
        assert np.abs(found - np.float32(true)).max() <= 0.5 / 32 + 1e-4
        assert np.array_equal(sure, np.ones((8, 12)))


@pytest.mark.parametrize("height, width", [(1, 1), (1, 9), (33, 50), (64, 65)])
def test_a_smooth_field_of_any_size_loses_little_by_thinning(tmp_path, height, width):
    y, x = np.mgrid[:height, :width].astype(np.float32)
    field = np.stack([5 * np.sin(x / 20), 5 * np.cos(y / 20)], -1), np.ones((height, width), np.float32)
    flow.write(tmp_path / "f.npz", field, field)
    found, sure = flow.read(tmp_path / "f.npz", [0, 0, width, height])["last"]
    assert (found.shape, sure.shape) == ((height, width, 2), (height, width))
    # thinned by 2, a slope of 1/4 pixel per pixel is off by at most half a pixel's worth at the border
    assert np.abs(found - field[0]).max() < 1 / 32 + 0.25


def test_certainty_comes_back_within_one_level(tmp_path):
    half = uniform(0, 0)[0], np.full((8, 12), 0.3, np.float32)
    flow.write(tmp_path / "f.npz", half, uniform(0, 0))
    assert np.abs(flow.read(tmp_path / "f.npz", [0, 0, 12, 8])["first"][1] - 0.3).max() <= 0.5 / 255 + 1e-6


def test_a_scene_takes_less_than_a_byte_per_pixel_and_direction(tmp_path):
    scene, estimate = Scene.random(5, size=SIZE, frames=13), flow.Estimator(flow.Dis("medium"))
    flow.write(tmp_path / "f.npz", *(estimate(gray(scene, 6), gray(scene, k)) for k in (0, 12)))
    assert (tmp_path / "f.npz").stat().st_size < 2 * SIZE[0] * SIZE[1]


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
    path = tmp_path / "000003.npz"
    flow.write(path, uniform(1, 1), uniform(2, 2))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=f"000003.npz: missing or damaged; delete the folder {tmp_path} and run again"):
        flow.read(path, [0, 0, 12, 8])


def test_a_missing_file_is_named_with_the_folder_to_delete(tmp_path):
    with pytest.raises(UserError, match="000003.npz: missing or damaged; delete the folder"):
        flow.read(tmp_path / "000003.npz", [0, 0, 12, 8])


# ---- a block of a clip -------------------------------------------------------------------------------------------


def test_frames_strictly_between_two_keyframes_have_a_file(clip, tmp_path):
    names = measure(clip, tmp_path / "0000", [[0, 4, [0, 0, 96, 64]], [4, 6, [0, 0, 96, 64]]])
    assert names == ["000001.npz", "000002.npz", "000003.npz", "000005.npz"]


def test_frames_outside_the_block_have_no_file(clip, tmp_path):
    assert measure(clip, tmp_path / "0001", [[0, 8, [0, 0, 96, 64]]], (4, 5)) == ["000004.npz", "000005.npz"]


def test_an_interval_without_a_box_has_no_file(clip, tmp_path):
    assert measure(clip, tmp_path / "0000", [[0, 4, None], [4, 6, [0, 0, 96, 64]]]) == ["000005.npz"]


def test_a_block_without_motion_is_an_empty_folder(clip, tmp_path):
    assert measure(clip, tmp_path / "0000", []) == []


def test_a_file_leads_to_the_keyframe_before_and_to_the_one_after(clip, tmp_path):
    box = [0, 0, 61, 35]
    measure(clip, tmp_path / "0000", [[2, 6, box]])
    stored = flow.read(tmp_path / "0000" / "000005.npz", box)
    square = np.s_[11:17, 8:14]  # in frame 5 the square covers x 5 to 16, y 8 to 19
    assert np.abs(stored["first"][0][square] - [-3, 0]).max() < 0.3
    assert np.abs(stored["last"][0][square] - [1, 0]).max() < 0.3


def test_motion_is_measured_inside_the_box(clip, tmp_path):
    measure(clip, tmp_path / "0000", [[0, 2, [40, 30, 51, 33]]])
    found, sure = flow.read(tmp_path / "0000" / "000001.npz", [40, 30, 51, 33])["last"]
    assert np.abs(found).max() < 0.2  # still ground, the square is elsewhere


@pytest.mark.parametrize(
    "rotation, expected",
    [(0, [2, 0]), (90, [0, -2]), (180, [-2, 0]), (270, [0, 2])],
)
def test_a_rotated_clip_has_its_motion_in_upright_pixels(tmp_path, rotation, expected):
    frames = [texture(96, 128, shift=(2 * i, 0)) for i in range(3)]
    path = write_clip(tmp_path / "clip.mp4", frames, rotation=rotation, crf="1")
    size = (96, 128) if rotation % 180 else (128, 96)
    measure(path, tmp_path / "0000", [[0, 2, [0, 0, *size]]])
    found = flow.read(tmp_path / "0000" / "000001.npz", [0, 0, *size])["last"][0]
    assert np.abs(interior(found) - expected).max() < 0.3


def test_an_anamorphic_clip_has_its_motion_in_square_pixels(tmp_path):
    frames = [texture(96, 128, shift=(2 * i, 2 * i)) for i in range(3)]
    path = write_clip(tmp_path / "clip.mp4", frames, aspect=2, crf="1")
    measure(path, tmp_path / "0000", [[0, 2, [0, 0, 256, 96]]])
    found = flow.read(tmp_path / "0000" / "000001.npz", [0, 0, 256, 96])["last"][0]
    assert np.abs(interior(found) - [4, 2]).max() < 0.4
