"""The toy world keeps its promises: what `demo/world.py` calls ground truth is true of its pictures and its files."""

import importlib
import sys
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "demo"))
world = importlib.import_module("world")
Scene = world.Scene

SIZE = (180, 320)
STILL = world.Curve(0.0)


def small(seed: int, **options) -> Scene:
    return Scene.random(seed, size=SIZE, frames=8, **options)


def still_thing(shape: str = "circle", x: float = 40.0, radius: float = 20.0, texture: str = "plain") -> world.Thing:
    motion = world.Motion(world.Curve(x), world.Curve(40.0), world.Curve(radius))
    return world.Thing(shape, "red", texture, motion, soft=0.1)


def scene_of(*things: world.Thing, drift: float = 0.0) -> Scene:
    """An 80 x 120 scene at one frame a second over grass that moves `drift` pixels a frame to the right."""
    motion = world.Motion(world.Curve(0.0, slope=drift), STILL, world.Curve(80.0))
    return Scene((80, 120), 4, Fraction(1), world.Background("grass", motion, seed=1), things)


def away_from_edges(labels: np.ndarray, margin: int = 2) -> np.ndarray:
    """True where all labels within `margin` pixels agree: uint8 [H, W] to bool [H, W]."""
    kernel = np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)
    return cv2.dilate(labels, kernel) == cv2.erode(labels, kernel)


def decode(path: Path, kind: str) -> list:
    with av.open(str(path)) as container:
        return list(container.decode(**{kind: 0}))


# ---- scenes ----------------------------------------------------------------------------------------------------


def test_same_seed_gives_the_same_bytes():
    assert small(3).frame(5).tobytes() == small(3).frame(5).tobytes()


def test_another_seed_gives_another_scene():
    assert small(3) != small(4)


def test_noise_has_the_same_bits_on_every_machine():
    values = world.lattice(np.array([0.0, 1.0, -1.0]), np.array([0.0, 2.0, -3.0]), seed=7)
    assert values.tolist() == [0.5246428980479722, 0.7930470209988664, 0.8976564451579835]


@pytest.mark.parametrize("seed", [1_000_000, 2_345_678])
def test_reserved_seeds_are_refused(seed):
    with pytest.raises(ValueError, match=rf"seed {seed} is reserved: take one below 1,000,000"):
        Scene.random(seed)


def test_the_last_free_seed_is_accepted():
    assert Scene.random(999_999).frames == 96


@pytest.mark.parametrize("size", [(179, 320), (180, 321), (0, 320)])
def test_sizes_that_yuv420p_cannot_hold_are_refused(size):
    with pytest.raises(ValueError, match="take an even height and an even width"):
        Scene.random(1, size=size)


@pytest.mark.parametrize("objects", [0, 7])
def test_more_objects_than_colours_are_refused(objects):
    with pytest.raises(ValueError, match=f"{objects} objects .* take 1 to 6"):
        Scene.random(1, objects=objects)


@pytest.mark.parametrize("seed", range(20))
def test_objects_differ_in_colour_and_stand_out_from_the_ground(seed):
    scene = small(seed, objects=6)
    colours = {thing.colour for thing in scene.things}
    assert len(colours) == 6
    assert not colours & set(world.GROUNDS[scene.background.kind].clashes)


@pytest.mark.parametrize("seed", range(20))
def test_every_object_stays_in_view_and_the_first_is_large(seed):
    scene = Scene.random(seed, size=SIZE, frames=96, objects=3)
    areas = np.array([[scene.mask(t, k).sum() for k in (1, 2, 3)] for t in range(0, 96, 12)])
    assert areas.min() > 100
    assert areas[:, 0].mean() > 0.02 * SIZE[0] * SIZE[1]


def test_caption_and_phrases_name_the_objects_in_order():
    scene = scene_of(still_thing(texture="striped"), still_thing("star"))
    assert scene.caption == "a red striped circle and a red star on grass"
    assert scene.phrases == ["the red striped circle", "the red star"]


def test_orange_takes_the_other_article():
    assert world.with_article("orange star") == "an orange star"


# ---- pictures --------------------------------------------------------------------------------------------------


def test_circle_covers_the_pixels_within_its_radius():
    y, x = np.mgrid[:80, :120]
    assert np.array_equal(scene_of(still_thing(radius=20.5)).mask(0, 1), np.hypot(x - 40, y - 40) <= 20.5)


@pytest.mark.parametrize("shape", list(world.SHAPES))
def test_shapes_measure_the_distance_to_their_outline(shape):
    distance = world.SHAPES[shape](world.pixel_centres((401, 401)) / 100 - (2 + 2j))
    to_shape = cv2.distanceTransform((distance > 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) / 100
    assert distance[200, 200] < -0.3
    assert np.abs(to_shape - distance)[distance > 0].max() < 0.015
    assert max(np.abs(np.diff(distance, axis=axis)).max() for axis in (0, 1)) < 0.01 + 1e-9


@pytest.mark.parametrize("texture", list(world.TEXTURES))
def test_pixels_inside_an_object_have_exactly_its_colours(texture):
    scene = scene_of(still_thing("star", texture=texture))
    pose = scene.pose(0, 1)
    local = pose.to_local(world.pixel_centres(scene.size))
    inside = scene.things[0].distance(local) * abs(pose.gain) < -0.5
    expected = np.rint(scene.things[0].paint(local))
    assert inside.sum() > 300
    assert np.array_equal(scene.frame(0)[inside], expected[inside])


def test_an_edge_pixel_half_covered_is_half_object_half_ground():
    scene, bare = scene_of(still_thing(radius=20.0)), scene_of()
    rim = scene.things[0].paint(np.array([1.0 + 0j]))[0]
    expected = (rim + bare.frame(0)[40, 60]) / 2
    assert np.abs(scene.frame(0)[40, 60] - expected).max() <= 1


def test_labels_are_the_front_most_amodal_masks():
    scene = small(13)
    masks = [scene.mask(0, k) for k in (1, 2)]
    assert (masks[0] & masks[1]).any()
    assert np.array_equal(scene.labels(0), np.where(masks[1], 2, np.where(masks[0], 1, 0)))


# ---- motion ----------------------------------------------------------------------------------------------------


def test_flow_of_the_background_is_the_drift_of_the_camera():
    flow = scene_of(drift=3.0).flow(0, 2)
    assert flow.dtype == np.float32
    assert np.array_equal(flow, np.broadcast_to(np.float32([6, 0]), (80, 120, 2)))


def test_flow_within_one_frame_is_zero():
    assert not small(5).flow(3, 3).any()


@pytest.mark.parametrize("seed", [1, 3, 5, 7, 14])
def test_flow_leads_to_the_same_colour_wherever_it_is_visible(seed):
    scene = Scene.random(seed)
    t, u = 10, 14
    y, x = np.mgrid[: scene.size[0], : scene.size[1]].astype(np.float32)
    flow = scene.flow(t, u)
    where = x + flow[..., 0], y + flow[..., 1]
    found = cv2.remap(scene.frame(u), *where, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    settled = cv2.remap(away_from_edges(scene.labels(u)).astype(np.uint8), *where, cv2.INTER_NEAREST) == 1
    sure = ~scene.occlusion(t, u) & away_from_edges(scene.labels(t)) & settled
    error = np.abs(found.astype(float) - scene.frame(t)).max(axis=-1)
    for k in range(3):
        assert error[sure & (scene.labels(t) == k)].mean() < 2
    assert np.percentile(error[sure], 99) < 10
    assert sure.mean() > 0.8


def test_occlusion_is_where_another_object_comes_to_cover():
    passing = world.Motion(world.Curve(90.0, slope=-50.0), world.Curve(40.0), world.Curve(10.0))
    scene = scene_of(still_thing(radius=20.0), world.Thing("circle", "blue", "plain", passing, soft=0.1))
    visible_later = scene.labels(0) == 2
    assert np.array_equal(scene.occlusion(0, 1), scene.mask(1, 2) & ~visible_later)


def test_occlusion_is_where_the_ground_leaves_the_picture():
    expected = np.zeros((80, 120), bool)
    expected[:, 114:] = True
    assert np.array_equal(scene_of(drift=3.0).occlusion(0, 2), expected)


def test_nothing_is_occluded_within_one_frame():
    assert not small(13).occlusion(2, 2).any()


# ---- files -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> tuple[Scene, Path]:
    scene, path = small(13, fps=25), tmp_path_factory.mktemp("clip") / "clip.mp4"
    world.write_clip(scene, path)
    return scene, path


@pytest.fixture(scope="module")
def masks(clip, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("masks") / "masks.mkv"
    world.write_masks(clip[0], path)
    return path


def test_clip_has_every_frame_at_its_time(clip):
    scene, path = clip
    times = [frame.pts * frame.time_base for frame in decode(path, "video")]
    assert times == [Fraction(t, 25) for t in range(scene.frames)]


def test_clip_keeps_a_fractional_rate_exactly(tmp_path):
    world.write_clip(small(1, fps=Fraction(30000, 1001)), tmp_path / "clip.mp4")
    times = [frame.pts * frame.time_base for frame in decode(tmp_path / "clip.mp4", "video")]
    assert times == [Fraction(1001 * t, 30000) for t in range(8)]


def test_clip_is_tagged_and_converted_as_bt709_limited_range(clip):
    scene, path = clip
    frame = decode(path, "video")[0]
    assert (frame.format.name, int(frame.colorspace), int(frame.color_range)) == ("yuv420p", 1, 1)
    y = frame.to_ndarray()[: SIZE[0]].astype(float)
    expected = 16 + scene.frame(0) @ np.array([0.2126, 0.7152, 0.0722]) * 219 / 255
    assert np.abs(y - expected).mean() < 2.5
    assert abs((y - expected).mean()) < 0.5


def test_clip_has_mono_sound_of_its_length(clip):
    scene, path = clip
    frames = decode(path, "audio")
    wave = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    assert (frames[0].sample_rate, frames[0].layout.name) == (44_100, "mono")
    assert len(wave) / 44_100 == pytest.approx(scene.frames / 25, abs=0.05)
    assert 0.05 < np.abs(wave).max() < 1


def test_mask_video_decodes_to_exactly_the_labels(clip, masks):
    scene = clip[0]
    pictures = [frame.to_ndarray() for frame in decode(masks, "video")]
    assert len(pictures) == scene.frames
    for t, picture in enumerate(pictures):
        assert np.array_equal(picture, np.array([0, 128, 255], np.uint8)[scene.labels(t)])


def test_mask_video_and_clip_are_shown_at_the_same_times(clip, masks):
    times = [[frame.pts * frame.time_base for frame in decode(path, "video")] for path in (clip[1], masks)]
    assert times[0] == times[1]


def test_a_failed_write_leaves_neither_the_file_nor_a_part_of_it(tmp_path):
    with pytest.raises(RuntimeError), world.finished(tmp_path / "clip.mp4") as part:
        Path(part).write_bytes(b"half")
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_command_line_writes_both_files_and_prints_caption_and_phrases(tmp_path, monkeypatch, capsys):
    out, masks = tmp_path / "clip.mp4", tmp_path / "masks.mkv"
    options = ["--seed", "7", "--size", "64x36", "--frames", "3", "--out", str(out), "--masks", str(masks)]
    monkeypatch.setattr(sys, "argv", ["world.py", *options])
    world.main()
    scene = Scene.random(7, size=(36, 64), frames=3)
    assert capsys.readouterr().out.splitlines() == [scene.caption, *scene.phrases]
    assert [len(decode(path, "video")) for path in (out, masks)] == [3, 3]
