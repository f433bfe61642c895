"""The toy world keeps its promises: what `demo/world.py` calls ground truth is true of its pictures and its files."""

import hashlib
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import film
import grounds
import things
import world
from shots import AT_REST, Background, Layer, Light, Motion, Shot, Spline, fixed
from things import Look
from world import Scene

SIZE = (180, 320)
SEEDS = range(900_000, 900_200)
ALL_ON = {"occluder": True, "leaves": True, "cuts": 1}


def small(seed: int, **options) -> Scene:
    return Scene.random(seed, **{"size": SIZE, "frames": 8} | options)


def still_layer(look: str = "a red circle", x: float = 40.0, radius: float = 20.0, drift: float = 0.0) -> Layer:
    """An object on the middle line of `scene_of`'s picture, in its pixels; it drifts this far a frame to the right."""
    knots = [complex(x + drift * t, 40) for t in range(4)]
    centre = Spline(tuple((knot - (59.5 + 39.5j)) / 80 for knot in knots), step=1)
    return Layer(Look.named(look), Motion(centre, fixed(np.log(radius / 80))))


def scene_of(*layers: Layer, drift: float = 0.0, shadow: float = 0.0, towards: complex = -1j) -> Scene:
    """An 80 x 120 scene at one frame a second over grass that moves `drift` pixels a frame to the right."""
    slide = Spline(tuple(complex(drift * t / 80) for t in range(4)), step=1)
    ground = Layer(Background("grass", seed=1), Motion(slide, fixed(0)))
    shot = Shot(0, (ground, *layers), AT_REST, Light(towards, shadow))
    return Scene((80, 120), 4, Fraction(1), (shot,))


def away_from_edges(labels: np.ndarray, margin: int = 2) -> np.ndarray:
    """True where all labels within `margin` pixels agree: uint8 [H, W] to bool [H, W]."""
    windows = sliding_window_view(np.pad(labels, margin, mode="edge"), (2 * margin + 1,) * 2)
    return windows.min(axis=(2, 3)) == windows.max(axis=(2, 3))


def sample(picture: np.ndarray, where: np.ndarray) -> np.ndarray:
    """The picture [H, W, C] between its pixels (bilinear), at points complex [N] in it: float64 [N, C]."""
    height, width = picture.shape[:2]
    x, y = np.clip(where.real, 0, width - 1.001), np.clip(where.imag, 0, height - 1.001)
    i, j, u, v = y.astype(int), x.astype(int), x % 1, y % 1
    corners = [(i, j, (1 - u) * (1 - v)), (i, j + 1, u * (1 - v)), (i + 1, j, (1 - u) * v), (i + 1, j + 1, u * v)]
    return sum(picture[a, b].astype(float) * weight[:, None] for a, b, weight in corners)


def arrivals(scene: Scene, t: int, u: int) -> np.ndarray:
    """Where the flow leads from every pixel of frame t: complex [H, W]."""
    x, y = np.moveaxis(scene.flow(t, u).astype(float), -1, 0)
    return world.pixel_centres(scene.size) + x + 1j * y


def visible(scene: Scene, t: int, k: int) -> np.ndarray:
    """True where some part of label k is seen in the pixel, be it ever so small: bool [H, W]."""
    front = [scene.coverage(t, j) < 1 for j in range(k + 1, len(scene.shot(t).layers))]
    return np.all([scene.coverage(t, k) > 0, *front], axis=0)


def shadowed(scene: Scene, t: int, k: int) -> np.ndarray:
    """True where label k takes light from what is behind it: bool [H, W]."""
    pose, shot = scene.pose(t, k), scene.shot(t)
    local = pose.to_local(world.pixel_centres(scene.size))
    return shot.light.behind(shot.layers[k].surface, local, pose) < 1


def decode(path: Path, kind: str) -> list:
    with av.open(str(path)) as container:
        return list(container.decode(**{kind: 0}))


# ---- scenes ----------------------------------------------------------------------------------------------------


def test_noise_has_the_same_bits_on_every_machine():
    values = grounds.lattice(np.array([0.0, 1.0, -1.0]), np.array([0.0, 2.0, -3.0]), seed=7)
    assert values.tolist() == [0.5246428980479722, 0.7930470209988664, 0.8976564451579835]


def test_a_mix_of_all_or_nothing_is_one_of_the_two_to_the_last_bit():
    a, b = np.random.default_rng(0).uniform(0, 255, (2, 1000))
    assert np.array_equal(grounds.mix(a, b, 1.0), b)
    assert np.array_equal(grounds.mix(a, b, 0.0), a)


FRAMES = [  # background, seed, first 16 digits of the SHA-256 of 8 frames
    ("grass", 900_002, "67f8e5998c4acfb4"),
    ("sand", 900_011, "8e1e1f0c784aa928"),
    ("sky", 900_007, "be05275deaab9e0f"),
    ("sea", 900_001, "c5a2e39e05fb7e0a"),
    ("snow", 900_003, "972b45873676c0bb"),
    ("night", 900_012, "f7e15e8b867456f1"),
    ("stone", 900_000, "21532eb7eed4c3ec"),
    ("brick", 900_006, "b3b6a700dc8e4ccc"),
    ("wood", 900_004, "cc58bce3ec03836d"),
]


@pytest.mark.parametrize(("kind", "seed", "digest"), FRAMES)
def test_frames_have_the_same_bytes_on_every_machine(kind, seed, digest):
    scene = Scene.random(seed, size=(48, 64), frames=8, fps=2, objects=3, occluder=True, leaves=True, cuts=1)
    assert scene.shots[0].kind == kind
    assert hashlib.sha256(b"".join(scene.frame(t).tobytes() for t in range(8))).hexdigest()[:16] == digest


def test_every_background_has_a_frame_in_the_record():
    assert {kind for kind, _, _ in FRAMES} == set(grounds.GROUNDS)


def test_another_seed_gives_another_scene():
    assert small(3) == small(3)
    assert small(3) != small(4)


@pytest.mark.parametrize("seed", [1_000_000, 2_345_678])
def test_reserved_seeds_are_refused(seed):
    with pytest.raises(ValueError, match=rf"seed {seed} is reserved: take one from 0 to 999,999"):
        Scene.random(seed)
    with pytest.raises(ValueError, match=rf"seed {seed} is reserved"):
        world.still(seed)


def test_the_seeds_to_train_and_to_measure_share_none():
    assert (world.TRAINING_SEEDS[-1], world.MEASURING_SEEDS[0], world.MEASURING_SEEDS[-1]) == (
        899_999,
        900_000,
        999_999,
    )
    assert Scene.random(999_999).frames == 96


@pytest.mark.parametrize(
    "options, message",
    [
        ({"size": (1, 320)}, r"size \(1, 320\) is no picture: take at least 2 x 2 pixels"),
        ({"objects": 0}, "0 objects .* take 1 to 6"),
        ({"objects": 7}, "7 objects .* take 1 to 6"),
        ({"cuts": 8}, "8 cuts do not go into 8 frames"),
    ],
)
def test_scenes_that_cannot_be_made_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        small(1, **options)


def test_a_scene_of_any_size_is_the_same_picture():
    tiny, large = small(900_011, size=(37, 53), **ALL_ON), small(900_011, size=(111, 159), **ALL_ON)
    for t in (0, 5):
        assert np.array_equal(large.labels(t)[1::3, 1::3], tiny.labels(t))
        assert large.flow(0, 2)[1::3, 1::3] == pytest.approx(3 * tiny.flow(0, 2), abs=1e-4)
        rough = large.frame(t).reshape(37, 3, 53, 3, 3).mean(axis=(1, 3)) - tiny.frame(t)
        assert np.abs(rough).mean() < 4


def test_a_switch_changes_nothing_but_its_own():
    full = small(900_004, objects=3, occluder=True)
    (shot,) = full.shots
    assert small(900_004, objects=3).shots == (replace(shot, layers=shot.layers[:-1]),)
    assert small(900_004, objects=3, occluder=True, camera=False).shots == (replace(shot, camera=AT_REST),)
    unshadowed = small(900_004, objects=3, occluder=True, shadow=False)
    assert unshadowed.shots == (replace(shot, light=replace(shot.light, shadow=0.0)),)
    (leaving,) = small(900_004, objects=3, occluder=True, leaves=True).shots
    changed = [a != b for a, b in zip(shot.layers, leaving.layers, strict=True)]
    assert changed == [False, True, False, False, False]
    assert small(900_004, objects=3, cuts=2).things == full.things


def test_every_object_stays_in_view_unless_it_is_to_leave():
    for seed in SEEDS[:12]:
        scene = Scene.random(seed, size=SIZE, objects=2)
        areas = np.array([np.bincount(scene.labels(t).ravel(), minlength=3)[1:] for t in range(0, 96, 19)])
        assert areas.min() > 100, seed
        assert areas[:, 0].mean() > 0.012 * SIZE[0] * SIZE[1], seed


# ---- words -----------------------------------------------------------------------------------------------------


def test_caption_and_phrases_name_the_objects_in_order():
    scene = scene_of(still_layer("a red striped circle"), still_layer("a blue star"), still_layer("an orange moon"))
    assert scene.caption == "a red striped circle, a blue star and an orange moon on grass"
    assert scene.phrases == ["the red striped circle", "the blue star", "the orange moon"]


def test_a_caption_tells_the_places_of_all_shots():
    scene = small(900_000, objects=1, cuts=2)
    first, second, third = [grounds.GROUNDS[shot.kind].place for shot in scene.shots]
    assert scene.caption == f"{things.with_article(scene.things[0].name)} {first}, then {second}, then {third}"


@pytest.mark.parametrize("objects", [2, 3])
def test_every_phrase_fits_one_object_only_and_stands_out_from_the_ground(objects):
    for seed in SEEDS:
        scene = small(seed, objects=objects, cuts=1)
        clashes = {colour for shot in scene.shots for colour in grounds.GROUNDS[shot.kind].clashes}
        assert not clashes & {look.colour for look in scene.things}
        for k, phrase in enumerate(scene.phrases, 1):
            references = scene.references(k)
            assert references[-1] == phrase
            for words in references:
                assert [look.fits(tuple(words.split()[1:])) for look in scene.things].index(True) == k - 1
                assert sum(look.fits(tuple(words.split()[1:])) for look in scene.things) == 1


def test_a_phrase_is_as_short_as_the_other_objects_allow():
    looks = "a red striped circle", "a blue circle", "a red star"
    scene = scene_of(*[still_layer(look) for look in looks])
    assert scene.references(1) == ["the red circle", "the striped circle", "the red striped circle"]
    assert scene.references(3) == ["the star", "the red star"]


def test_many_scenes_hold_an_object_of_the_same_shape_or_colour():
    pairs = [small(seed, objects=2).things for seed in SEEDS]
    assert np.mean([a.shape == b.shape or a.colour == b.colour for a, b in pairs]) > 0.35


@pytest.mark.parametrize("shared", [0, 1, 2])
def test_absent_phrases_fit_no_object_and_are_as_near_as_asked(shared):
    for seed in SEEDS[:20]:
        scene = small(seed, objects=3)
        looks = [Look.named(phrase) for phrase in scene.absent(shared)]
        assert len(looks) >= 5
        for look in looks:
            assert not any(there.fits(look.words) for there in scene.things)
            assert max(look.likeness(there) for there in scene.things) == shared
            assert look.colour not in grounds.GROUNDS[scene.shots[0].kind].clashes


def test_every_look_is_read_back_from_its_name():
    looks = things.all_looks()
    assert len(looks) == len(set(looks)) == 8 * 9 * 4
    assert [Look.named(things.with_article(look.name)) for look in looks] == looks
    assert things.with_article("orange star") == "an orange star"


@pytest.mark.parametrize("phrase", ["a star", "blue", "a blue red star", "a big blue star", ""])
def test_a_phrase_that_names_no_object_is_refused(phrase):
    with pytest.raises(ValueError, match=f"'{phrase}' names no object: say colour, texture"):
        Look.named(phrase)


# ---- pictures --------------------------------------------------------------------------------------------------


def test_circle_covers_the_pixels_within_its_radius():
    y, x = np.mgrid[:80, :120]
    assert np.array_equal(scene_of(still_layer(radius=20.5)).mask(0, 1), np.hypot(x - 40, y - 40) <= 20.5)


@pytest.mark.parametrize("shape", things.SHAPES)
def test_shapes_measure_the_distance_to_their_outline(shape):
    grid = world.pixel_centres((161, 161)) / 60 - (80 + 80j) / 60
    distance = things.SHAPES[shape](grid)
    inside, outside = grid[distance <= 0], grid[distance > 0][::7]
    nearest = np.abs(outside[:, None] - inside).min(axis=1)
    assert np.abs(nearest - distance[distance > 0][::7]).max() < 1.2 / 60
    assert distance.min() < -0.25
    assert max(np.abs(np.diff(distance, axis=axis)).max() for axis in (0, 1)) < 1 / 60 + 1e-9
    assert 0.95 < np.abs(inside).max() <= 1 + things.ROUNDING
    # What is quick far away is the same near the outline.
    near = np.abs(distance) < 0.2
    assert np.array_equal(Look(shape, "red").distance(grid)[near], distance[near])


@pytest.mark.parametrize("texture", things.TEXTURES)
def test_pixels_inside_an_object_have_exactly_its_colours(texture):
    scene = scene_of(still_layer(f"a red {texture} star".replace("plain ", "")))
    inside, pose = scene.coverage(0, 1) == 1, scene.pose(0, 1)
    local = pose.to_local(world.pixel_centres(scene.size)[inside])
    assert inside.sum() > 300
    assert np.array_equal(scene.frame(0, lit=False)[inside], np.rint(scene.things[0].paint(local, soft=1.5 / 20)))


def test_an_edge_pixel_half_covered_is_half_object_half_ground():
    scene, bare = scene_of(still_layer(radius=20.0)), scene_of()
    rim = scene.things[0].paint(np.array([1.0 + 0j]), soft=0.1)[0]
    expected = (rim + bare.frame(0)[40, 60]) / 2
    assert np.abs(scene.frame(0, lit=False)[40, 60] - expected).max() <= 1


def test_labels_are_the_front_most_amodal_masks():
    scene = Scene.random(900_056, size=SIZE, objects=3, occluder=True)
    overlaps = np.zeros(2)
    for t in range(0, 96, 12):
        masks = [scene.mask(t, k) for k in (1, 2, 3, 4)]
        labels = np.zeros(SIZE, int)
        for k, mask in enumerate(masks, 1):
            labels[mask] = k % 4
        assert np.array_equal(scene.labels(t), labels)
        overlaps += (masks[0] & masks[1]).any(), (masks[0] & masks[3]).any()
    assert overlaps.all()


def test_masks_are_where_at_least_half_of_the_pixel_is_covered():
    scene = small(900_006, objects=3, occluder=True, leaves=True)
    for k in range(5):
        assert np.array_equal(scene.coverage(4, k) >= 0.5, scene.mask(4, k))


def test_boxes_hold_the_visible_part_and_no_more():
    scene = scene_of(still_layer(radius=20.5), still_layer(x=30.0, radius=10.5), still_layer(x=-60.0))
    assert scene.boxes(0).tolist() == [[20, 20, 61, 61], [20, 30, 41, 51], [0, 0, 0, 0]]
    hidden = scene_of(
        still_layer(radius=10.0), still_layer("a blue circle", x=45.0, radius=10.0), still_layer(radius=20.0)
    )
    assert hidden.boxes(0).tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [20, 20, 61, 61]]


# ---- light -----------------------------------------------------------------------------------------------------


def test_an_object_is_brighter_towards_the_light_however_it_turns():
    scene = small(900_001, size=(128, 128), objects=1, camera=False, frames=96)
    (shot,) = scene.shots
    for t in (0, 50):
        pose, inside = scene.pose(t, 1), scene.coverage(t, 1) == 1
        side = ((world.pixel_centres(scene.size) - pose.centre) * np.conj(shot.light.towards)).real
        lit, unlit = scene.frame(t)[inside].sum(axis=-1), scene.frame(t, lit=False)[inside].sum(axis=-1)
        change = lit / unlit.astype(float)
        assert np.corrcoef(change, side[inside])[0, 1] > 0.9
        assert 0.75 < change.min() < 0.9 and 1.02 < change.max() < 1.25


def test_a_shadow_falls_away_from_the_light_on_ground_and_objects_behind():
    layers = still_layer("a white circle", x=60.0, radius=30.0), still_layer("a red circle", x=40.0, radius=20.0)
    lit, dark = scene_of(*layers, towards=-1), scene_of(*layers, shadow=0.5, towards=-1)
    labels, change = dark.labels(0), dark.frame(0).astype(float).sum(-1) - lit.frame(0).sum(-1)
    assert np.array_equal(labels, lit.labels(0))
    assert change.max() <= 0
    assert (change[dark.coverage(0, 2) == 1] == 0).all()  # no shadow on itself
    assert change[40, 62] < -100 and labels[40, 62] == 1  # of the front one, on the one behind it
    assert change[40, 93] < -50 and labels[40, 93] == 0  # of the one behind, on the ground
    assert (change[:, :18] == 0).all() and (change[:, 105:] == 0).all()


# ---- motion ----------------------------------------------------------------------------------------------------


def test_a_spline_starts_and_ends_at_its_knots_and_follows_a_line_exactly():
    bent, line = Spline((1 + 0j, 4j, 2 - 1j), step=0.5), Spline((0j, 2 + 1j, 4 + 2j), step=2)
    assert (bent.at(0), bent.at(1.0), bent.at(9)) == (1 + 0j, 2 - 1j, 2 - 1j)
    assert [line.at(s) for s in (0, 1, 2.5)] == pytest.approx([0, 1 + 0.5j, 2.5 + 1.25j])
    times = np.linspace(0, 1, 1001)
    speed = np.diff([bent.at(s) for s in times]) / 0.001
    assert np.abs(np.diff(speed)).max() < 0.05  # no kink at the middle knot


def test_flow_of_the_background_is_the_drift_of_the_ground():
    flow = scene_of(drift=3.0).flow(0, 2)
    assert flow.dtype == np.float32
    assert np.abs(flow - np.float32([6, 0])).max() < 1e-5


def test_flow_of_a_camera_that_zooms_points_away_from_the_middle():
    scene = scene_of()
    zoom = Motion(fixed(0), Spline((0, np.log(2)), step=1))
    scene = replace(scene, shots=(replace(scene.shots[0], camera=zoom),))
    y, x = np.mgrid[:80, :120]
    assert scene.flow(0, 1) == pytest.approx(np.stack([x - 59.5, y - 39.5], -1), abs=1e-4)


def test_whole_pixels_of_drift_shift_the_unlit_picture():
    scene = scene_of(still_layer("a red dotted heart", drift=5.0), drift=3.0, shadow=0.4)
    labels, moved = scene.labels(0), arrivals(scene, 0, 2)
    sure = ~scene.occlusion(0, 2) & away_from_edges(labels)
    at = np.rint(moved[sure])
    found = scene.frame(2, lit=False)[at.imag.astype(int), at.real.astype(int)]
    settled = away_from_edges(scene.labels(2))[at.imag.astype(int), at.real.astype(int)]
    difference = np.abs(found.astype(int) - scene.frame(0, lit=False)[sure])[settled]
    assert difference.max() <= 1
    assert settled.mean() > 0.8 and (labels[sure] == 1).any()


def test_nothing_moves_within_one_frame():
    scene = small(900_013, **ALL_ON)
    assert not scene.flow(3, 3).any()
    assert not scene.occlusion(2, 2).any()


@pytest.mark.parametrize("seed", SEEDS[:5])
def test_flow_leads_to_the_same_unlit_colour_wherever_it_is_visible(seed):
    scene = Scene.random(seed, size=SIZE, objects=3, occluder=True)
    t, u = 40, 44
    front, moved = scene.front(world.pixel_centres(SIZE), t), arrivals(scene, t, u)
    sure = ~scene.occlusion(t, u) & away_from_edges(front)
    sure[sure] = sample(away_from_edges(scene.front(world.pixel_centres(SIZE), u))[..., None], moved[sure])[:, 0] == 1
    picture, later = scene.frame(t, lit=False)[sure], scene.frame(u, lit=False)
    error, a_pixel_off = (np.abs(sample(later, moved[sure] + d) - picture).mean(axis=-1) for d in (0, 1 + 1j))
    for k in np.unique(front[sure]):
        assert error[front[sure] == k].mean() < min(4, 0.4 * a_pixel_off[front[sure] == k].mean())
    assert sure.mean() > 0.7


def test_flow_there_and_back_leads_home_wherever_it_is_visible():
    scene = Scene.random(900_007, size=SIZE, objects=3, occluder=True)
    pixels = world.pixel_centres(SIZE)
    for t, u in [(30, 45), (45, 30)]:
        front, moved, seen = scene.front(pixels, t), arrivals(scene, t, u), ~scene.occlusion(t, u)
        assert seen.any() and len(np.unique(front)) == 5
        for k in range(5):
            there = moved[seen & (front == k)]
            assert np.abs(there + scene.travel(there, u, t, k) - pixels[seen & (front == k)]).max(initial=0) < 1e-4
            sure = np.abs(scene.things[k - 1].distance(scene.pose(u, k).to_local(there))) > 1e-5 if 0 < k < 4 else True
            assert (scene.front(there, u) == k)[sure].all()


def test_occlusion_agrees_with_the_masks_of_the_other_frame():
    scene = Scene.random(900_007, size=SIZE, objects=3, occluder=True)
    t, u = 30, 45
    shown = np.zeros(SIZE, np.uint8)  # brute force: who lies on top in frame u
    for k in range(1, 5):
        shown[scene.mask(u, k)] = k
    moved, front = arrivals(scene, t, u), scene.front(world.pixel_centres(SIZE), t)
    x, y = np.rint(moved.real).astype(int), np.rint(moved.imag).astype(int)
    inside = (x >= 0) & (x < SIZE[1]) & (y >= 0) & (y < SIZE[0])
    x, y = np.clip(x, 0, SIZE[1] - 1), np.clip(y, 0, SIZE[0] - 1)
    sure = away_from_edges(shown, 1)[y, x] | ~inside
    expected = ~inside | (shown[y, x] != front)
    assert np.array_equal(scene.occlusion(t, u)[sure], expected[sure])
    assert sure.mean() > 0.9 and 0.01 < expected.mean() < 0.5


def test_occlusion_is_where_another_object_comes_to_cover():
    scene = scene_of(still_layer(radius=20.0), still_layer("a blue circle", x=90.0, radius=10.0, drift=-50.0))
    visible_later = scene.labels(0) == 2
    assert np.array_equal(scene.occlusion(0, 1), scene.mask(1, 2) & ~visible_later)


def test_occlusion_is_where_the_ground_leaves_the_picture():
    expected = np.zeros((80, 120), bool)
    expected[:, 114:] = True
    assert np.array_equal(scene_of(drift=3.0).occlusion(0, 2), expected)


# ---- posts, absences, cuts -------------------------------------------------------------------------------------


def test_a_post_crosses_the_picture_and_is_no_object():
    scene = Scene.random(900_003, size=SIZE, occluder=True)
    hidden = [(scene.mask(t, 1) & scene.mask(t, 3)).any() for t in range(0, 96, 4)]
    where = [np.nonzero(scene.mask(t, 3))[1].mean() for t in range(24, 72, 12)]
    assert any(hidden) and not hidden[0] and not hidden[-1]
    assert (np.diff(where) > 20).all() or (np.diff(where) < -20).all()
    for seed in SEEDS[:10]:
        clip = Scene.random(seed, size=(48, 64), occluder=True, objects=1)
        assert not clip.coverage(0, 2).any() and not clip.coverage(95, 2).any()
    assert len(scene.phrases) == len(scene.boxes(40)) == 2
    assert not (scene.labels(40)[scene.mask(40, 3)]).any()
    post = scene.coverage(40, 3) == 1
    assert np.abs(scene.frame(40)[post] / scene.frame(40, lit=False)[post] - 1).max() < 0.23  # also at its far ends


@pytest.mark.parametrize("seed", SEEDS[:4])
def test_an_object_that_leaves_returns_with_the_same_look(seed):
    scene = Scene.random(seed, size=SIZE, leaves=True)
    seen = [scene.mask(t, 1).any() for t in range(96)]
    gone = np.flatnonzero(~np.array(seen))
    assert seen[0] and seen[-1] and len(gone) >= 6
    assert np.array_equal(gone, np.arange(gone[0], gone[-1] + 1))
    assert scene.occlusion(0, int(gone[0]))[scene.labels(0) == 1].all()
    other, middle = scene.counterfactual(1, "a black ring"), int(gone.mean())
    assert np.array_equal(scene.frame(middle), other.frame(middle))
    sure = (scene.labels(0) == 1) & away_from_edges(scene.labels(0)) & ~scene.occlusion(0, 95)
    back = sample(scene.frame(95, lit=False), arrivals(scene, 0, 95)[sure])
    assert np.median(np.abs(back - scene.frame(0, lit=False)[sure])) < 4


def test_behind_a_cut_are_the_same_objects_elsewhere_and_nothing_is_seen_again():
    scene = Scene.random(900_002, size=SIZE, frames=90, cuts=2, objects=3)
    assert [shot.first for shot in scene.shots] == [0, 30, 60]
    assert len({shot.kind for shot in scene.shots[:2]}) == len({shot.kind for shot in scene.shots[1:]}) == 2
    assert all(tuple(layer.surface for layer in shot.layers[1:]) == scene.things for shot in scene.shots)
    steps = [np.abs(scene.frame(t).astype(int) - scene.frame(t + 1)).mean() for t in (28, 29, 59, 60)]
    assert min(steps[1], steps[2]) > 3 * max(steps[0], steps[3])
    assert scene.occlusion(29, 30).all() and scene.occlusion(30, 29).all()
    assert not scene.flow(29, 30).any()
    assert not scene.occlusion(28, 29).all() and scene.flow(28, 29).any()


# ---- the counterfactual ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes", [{"colour": "purple"}, {"texture": "checkered"}, {"colour": "pink", "texture": "striped"}]
)
@pytest.mark.parametrize("seed", SEEDS[:3])
def test_another_colour_or_texture_changes_the_visible_object_and_nothing_else(seed, changes):
    scene = Scene.random(seed, size=SIZE, objects=3, occluder=True, cuts=1)
    for k in (1, 2):
        other = scene.counterfactual(k, **changes)
        assert replace(scene.things[k - 1], **changes) == other.things[k - 1]
        for t in (20, 60):
            differs = (scene.frame(t) != other.frame(t)).any(axis=-1)
            assert not differs[~visible(scene, t, k)].any()
            if other.things != scene.things:
                assert differs.sum() > 0.2 * (scene.labels(t) == k).sum()
            assert np.array_equal(scene.labels(t), other.labels(t))
            assert np.array_equal(scene.flow(t, t + 3), other.flow(t, t + 3))


@pytest.mark.parametrize("seed", SEEDS[3:7])
def test_another_shape_changes_both_outlines_with_their_shadows_and_nothing_else(seed):
    scene = Scene.random(seed, size=SIZE, objects=3, occluder=True)
    old = scene.things[0]
    new = "a blue dotted star" if old.shape != "star" else "a blue dotted ring"
    other = scene.counterfactual(1, new)
    assert other.phrases == [new.replace("a ", "the ", 1), *scene.phrases[1:]]
    for t in (0, 48):
        differs = (scene.frame(t) != other.frame(t)).any(axis=-1)
        touched = [f(each, t, 1) for f in (visible, shadowed) for each in (scene, other)]
        assert differs.any() and not differs[~np.any(touched, axis=0)].any()
        for k in (2, 3, 4):
            assert np.array_equal(scene.mask(t, k), other.mask(t, k))
        assert scene.pose(t, 1) == other.pose(t, 1)


def test_the_counterfactual_is_read_from_a_phrase_or_from_changes():
    scene = scene_of(still_layer("a red striped circle"))
    assert scene.counterfactual(1, "a blue star").things == (Look("star", "blue", "plain"),)
    assert scene.counterfactual(1, colour="blue").things == (Look("circle", "blue", "striped"),)
    with pytest.raises(ValueError, match="colour 'mauve' is not known: take one of red, orange"):
        scene.counterfactual(1, colour="mauve")


# ---- stills ----------------------------------------------------------------------------------------------------


def test_stills_show_all_that_their_captions_say():
    shares = []
    for seed in SEEDS[:60]:
        still = world.still(seed)
        assert still.picture.shape == (128, 128, 3) and still.picture.dtype == np.uint8
        assert len(still.phrases) == len(still.boxes) == len(still.scene.things)
        for k, box in enumerate(still.boxes, 1):
            full = 128**2 * np.mean(still.scene.mask(0, k))
            assert (still.labels == k).sum() > 0.6 * full > 30
            assert box.tolist() == list(world.box_of(still.labels == k))
            shares.append(2 * abs(still.scene.pose(0, k).gain) / 128)
    assert 0.12 <= min(shares) < 0.15 and 0.6 < max(shares) <= 0.7


def test_in_moments_some_things_are_gone_or_cut_by_the_border():
    gone, cut = [], []
    for seed in SEEDS[:60]:
        moment = world.moment(seed, (96, 128))
        assert moment.picture.shape == (96, 128, 3)
        for k, box in enumerate(moment.boxes, 1):
            assert box.tolist() == list(world.box_of(moment.labels == k))
            gone.append(not box.any())
            cut.append(not gone[-1] and (box[:2].min() == 0 or box[2] == 128 or box[3] == 96))
    assert 0.02 < np.mean(gone) < 0.3
    assert 0.05 < np.mean(cut) < 0.5


# ---- files -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> tuple[Scene, Path]:
    scene, path = small(900_013, fps=25), tmp_path_factory.mktemp("clip") / "clip.mp4"
    film.write_clip(scene, path)
    return scene, path


@pytest.fixture(scope="module")
def masks(clip, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("masks") / "masks.mkv"
    film.write_masks(clip[0], path)
    return path


def test_clip_has_every_frame_at_its_time(clip):
    scene, path = clip
    times = [frame.pts * frame.time_base for frame in decode(path, "video")]
    assert times == [Fraction(t, 25) for t in range(scene.frames)]


def test_clip_keeps_a_fractional_rate_exactly(tmp_path):
    film.write_clip(small(900_001, fps=Fraction(30000, 1001)), tmp_path / "clip.mp4")
    times = [frame.pts * frame.time_base for frame in decode(tmp_path / "clip.mp4", "video")]
    assert times == [Fraction(1001 * t, 30000) for t in range(8)]


@pytest.mark.parametrize("size", [(35, 64), (36, 63)])
def test_a_clip_of_an_odd_size_is_refused(tmp_path, size):
    with pytest.raises(ValueError, match="cannot be written as yuv420p: take an even height and an even width"):
        film.write_clip(small(900_001, size=size), tmp_path / "clip.mp4")


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
    with pytest.raises(RuntimeError), film.finished(tmp_path / "clip.mp4") as part:
        Path(part).write_bytes(b"half")
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_command_line_writes_both_files_and_prints_caption_and_phrases(tmp_path, monkeypatch, capsys):
    out, masks = tmp_path / "clip.mp4", tmp_path / "masks.mkv"
    options = ["--seed", "900007", "--size", "64x36", "--frames", "3", "--cuts", "1", "--instead", "a green star"]
    monkeypatch.setattr(sys, "argv", ["world.py", *options, "--out", str(out), "--masks", str(masks)])
    world.main()
    scene = Scene.random(900_007, size=(36, 64), frames=3, cuts=1).counterfactual(1, "a green star")
    assert capsys.readouterr().out.splitlines() == [scene.caption, "the green star", scene.phrases[1]]
    assert [len(decode(path, "video")) for path in (out, masks)] == [3, 3]
