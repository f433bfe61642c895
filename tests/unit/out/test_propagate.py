"""The edited keyframes over the source: where the layer lands, what it weighs, and what stays the same bits."""

from pathlib import Path

import numpy as np
import pytest

from clevam import flow, images, propagate, video
from clevam.errors import UserError
from clevam.files import seal
from clevam.geometry import grow, region
from clevam.orientation import upright_size
from clevam.propagate import Layer, Layers, composite
from clips import decode, moving_square, noise, write_clip

SIZE = (64, 48)
ENCODE = {
    "codec": "libx264", "crf": 18.0, "preset": "ultrafast", "lossless": True, "pix_fmt": None, "extra": {},
}  # fmt: skip
GREEN = (0, 200, 0)
FORMATS = ["yuv420p", "yuv422p10le", "yuv444p", "yuv411p"]


def facts_of(pix_fmt="yuv420p", size=SIZE, full_range=False, rotation=0, aspect=(1, 1)) -> dict:
    form = video.av.VideoFormat(pix_fmt, 64, 64)
    facts = {
        "width": size[0],
        "height": size[1],
        "rotation": rotation,
        "sample_aspect": list(aspect),
        "pix_fmt": pix_fmt,
        "bits": form.components[0].bits,
        "chroma": [64 // form.chroma_width(), 64 // form.chroma_height()],
        "full_range": full_range,
        "colorspace": 1,
    }
    return facts | {"upright": list(upright_size(facts))}


def flat_layer(rgb, alpha, box) -> Layer:
    shape = (box[3], box[2])
    weight = np.broadcast_to(np.float32(alpha), shape).copy()
    return Layer(np.broadcast_to(np.float32(rgb), (*shape, 3)).copy(), weight, box)


def gray_planes(facts: dict) -> list[np.ndarray]:
    """A frame whose every sample is 100."""
    width, height = facts["width"], facts["height"]
    x, y = facts["chroma"]
    dtype = np.uint8 if facts["bits"] == 8 else np.uint16
    return [np.full(s, 100, dtype) for s in [(height, width), *[(-(-height // y), -(-width // x))] * 2]]


def changed(before: np.ndarray, after: np.ndarray) -> list[int] | None:
    """The box [x, y, width, height] around the samples that differ."""
    return propagate.bounding(before != after)


# ---- compositing -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(64, 48), (33, 17)])
@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_a_clear_layer_leaves_every_sample_as_it_is(pix_fmt, size):
    (planes,) = noise(pix_fmt, size)
    result = composite(planes, flat_layer((1, 0, 0), 0, [3, 5, 20, 10]), facts_of(pix_fmt, size))
    assert [p.tobytes() for p in result] == [p.tobytes() for p in planes]


# White, and BT.709 red: Y = 0.2126, Cb = -0.2126 / 1.8556, Cr = 0.5 of the span
@pytest.mark.parametrize(
    "pix_fmt, full_range, white, red",
    [
        ("yuv420p", False, [235, 128, 128], [63, 102, 240]),
        ("yuv420p", True, [255, 128, 128], [54, 99, 255]),
        ("yuv444p", False, [235, 128, 128], [63, 102, 240]),
        ("yuv422p10le", False, [940, 512, 512], [250, 409, 960]),
    ],
)
@pytest.mark.parametrize("size", [(64, 48), (33, 17)])
def test_an_opaque_layer_shows_its_colour(pix_fmt, full_range, white, red, size):
    facts = facts_of(pix_fmt, size, full_range)
    for rgb, expected in [((1, 1, 1), white), ((1, 0, 0), red)]:
        result = composite(gray_planes(facts), flat_layer(rgb, 1, [0, 0, *size]), facts)
        assert [np.unique(p).tolist() for p in result] == [[e] for e in expected]


def test_a_half_weight_gives_the_middle():
    facts = facts_of("yuv444p")
    result = composite(gray_planes(facts), flat_layer((1, 1, 1), 0.5, [10, 10, 4, 4]), facts)
    assert result[0][10:14, 10:14].tolist() == [[168] * 4] * 4  # (100 + 235) / 2, to even
    assert changed(gray_planes(facts)[0], result[0]) == [10, 10, 4, 4]


@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_a_chroma_sample_changes_if_and_only_if_one_of_its_pixels_has_weight(pix_fmt):
    facts = facts_of(pix_fmt)
    alpha = np.random.default_rng(0).random((21, 27)).astype(np.float32) * (np.arange(27) % 5 == 0)
    layer = flat_layer((1, 0, 0), 1, [3, 5, 27, 21])._replace(alpha=alpha)
    weight = np.zeros((48, 64), bool)
    weight[5:26, 3:30] = alpha > 0.2
    layer.alpha[layer.alpha <= 0.2] = 0
    before, (x, y) = gray_planes(facts), facts["chroma"]
    after = composite(before, layer, facts)
    assert np.array_equal(after[0] != before[0], weight)
    cells = weight.reshape(48 // y, y, 64 // x, x).any((1, 3))
    assert np.array_equal(after[2] != before[2], cells)


@pytest.mark.parametrize("box", [[4, 4, 8, 8], [5, 5, 7, 7], [4, 4, 7, 7], [5, 5, 6, 6]])
def test_a_chroma_sample_weighs_the_share_of_its_pixels_that_are_covered(box):
    facts = facts_of("yuv420p")
    red = composite(gray_planes(facts), flat_layer((1, 0, 0), 1, box), facts)[2]
    covered = np.zeros((48, 64))
    covered[region(box)] = 1
    share = covered.reshape(24, 2, 32, 2).mean((1, 3))
    assert np.array_equal(red, np.rint(100 + share * 140))


def test_the_colour_where_a_layer_is_clear_does_not_stain_its_rim():
    facts = facts_of("yuv420p")
    layer = flat_layer((1, 0, 0), 1, [10, 10, 8, 8])
    layer.alpha[:, 5:] = 0
    layer.rgb[:, 5:] = (0, 1, 0)
    pure = composite(gray_planes(facts), flat_layer((1, 0, 0), 1, [10, 10, 5, 8]), facts)
    assert all(np.array_equal(a, b) for a, b in zip(pure, composite(gray_planes(facts), layer, facts), strict=True))


def test_the_planes_that_go_in_stay_as_they_are():
    facts = facts_of()
    planes = gray_planes(facts)
    composite(planes, flat_layer((1, 1, 1), 1, [0, 0, 8, 8]), facts)
    assert all((p == 100).all() for p in planes)


@pytest.mark.parametrize(
    "rotation, expected",  # upright (4, 2), 8 x 6, in a picture stored as 64 x 48
    [
        (0, [4, 2, 8, 6]),
        (90, [64 - 2 - 6, 4, 6, 8]),
        (180, [64 - 4 - 8, 48 - 2 - 6, 8, 6]),
        (270, [2, 48 - 4 - 8, 6, 8]),
    ],
)
def test_a_layer_over_a_rotated_clip_lands_where_the_upright_mask_says(rotation, expected):
    facts = facts_of("yuv444p", rotation=rotation)
    result = composite(gray_planes(facts), flat_layer((1, 1, 1), 1, [4, 2, 8, 6]), facts)
    assert changed(gray_planes(facts)[0], result[0]) == expected
    assert np.unique(result[0]).tolist() == [100, 235]


@pytest.mark.parametrize("aspect, box", [((2, 1), [20, 12, 16, 8]), ((1, 2), [10, 24, 8, 16])])
def test_a_layer_over_an_anamorphic_clip_is_squeezed_with_it(aspect, box):
    facts = facts_of("yuv444p", aspect=aspect)
    result = composite(gray_planes(facts), flat_layer((1, 1, 1), 1, box), facts)
    assert changed(gray_planes(facts)[0], result[0]) == [10, 12, 8, 8]
    assert (result[0][13:19, 11:17] == 235).all()


def test_a_half_weight_over_an_anamorphic_clip_gives_the_middle():
    facts = facts_of("yuv444p", aspect=(2, 1))
    result = composite(gray_planes(facts), flat_layer((1, 1, 1), 0.5, [20, 12, 16, 8]), facts)
    assert np.unique(result[0][13:19, 11:17]).tolist() == [168]  # (100 + 235) / 2, to even


# ---- the layer of a frame ----------------------------------------------------------------------------------------


KINDS = {"between": "between", "flows": "flow"}


def drawn(box: list | None) -> np.ndarray:
    """A label map, 1 in the box."""
    mask = np.zeros(SIZE[::-1], np.uint8)
    if box:
        mask[region(box)] = 1
    return mask


def weight_of(layer: Layer) -> np.ndarray:
    """A layer's weight upon the whole frame."""
    weight = np.zeros(SIZE[::-1], np.float32)
    weight[region(layer.box)] = layer.alpha
    return weight


def colour_of(layer: Layer) -> np.ndarray:
    """A layer's colour 0..255 upon the whole frame, -1 where it has none."""
    colour = np.full((*SIZE[::-1], 3), -1, np.float32)
    colour[region(layer.box)] = layer.rgb * 255
    return colour


def gap(a: int, b: int, box: list | None) -> list:
    """The frames between two keyframes, as plan.json has them."""
    return [[a, b], [a + 1, b - 1], box]


class Job:
    """Keyframes that are flat green, masks and flows on disk: what `render` gets from the stages before it."""

    index = {"stream": {"upright": list(SIZE)}}

    def __init__(self, folder: Path, keyframes: dict[int, list | None], rim: int = 0) -> None:
        """keyframes: {frame: box of A, or None}."""
        self.folder, self.rim, self.motion = folder, rim, []
        self.edited, self.masks = {}, {}
        for kind in ("between", "flow"):
            (folder / kind / "0000").mkdir(parents=True)
        for i, box in keyframes.items():
            self.put(i, np.full((*SIZE[::-1], 3), GREEN, np.uint8), 255 * drawn(box))

    def put(self, i: int, picture: np.ndarray, mask: np.ndarray) -> None:
        for kind, pixels, paths in (("edited", picture, self.edited), ("masks", mask, self.masks)):
            paths[f"{i:06d}"] = str(self.folder / kind / f"{i:06d}.png")
            images.write_png(paths[f"{i:06d}"], pixels)

    def move(self, i: int, interval: tuple, area: list | None, first, last, sure=(1.0, 1.0)) -> None:
        """In frame i of [a, b, box] A is in `area`, and all of the box moves by `first` to a and by `last` to b."""
        shape = (interval[2][3], interval[2][2])
        fields = [
            (np.broadcast_to(np.float32(d), (*shape, 2)).copy(), np.broadcast_to(np.float32(s), shape).copy())
            for d, s in zip((first, last), sure, strict=True)
        ]
        flow.write(self.folder / "flow" / "0000" / f"{i:06d}.npy.gz", *fields)
        if area:
            self.mask(i, drawn(area))
        if gap(*interval) not in self.motion:
            self.motion.append(gap(*interval))

    def mask(self, i: int, labels: np.ndarray) -> None:
        """Where A is in frame i, which is no keyframe."""
        images.write_labels(self.folder / "between" / "0000" / f"{i:06d}.png", labels, 1)

    @property
    def options(self) -> dict:
        """What `Layers` and `render` have in common."""
        for block in (self.folder / "between").iterdir():
            seal(block)
        folders = {kind: {"0000": str(self.folder / name / "0000")} for kind, name in KINDS.items()}
        plan = {"regions": 1, "motion": self.motion}
        return {"plan": plan, "edited": self.edited, "masks": self.masks, "block": 100, "rim": self.rim} | folders

    def layers(self) -> Layers:
        return Layers(self.index, **self.options)

    def render(
        self, source: Path, target: Path, first: int = 0, last: int | None = None, **encode: str
    ) -> list[list[np.ndarray]]:
        """The planes of the frames `first` to `last` of the result."""
        facts = video.probe(source)
        pts = [frame.pts for frame in decode(source)]
        index = {"stream": facts | {"upright": list(upright_size(facts))}, "pts": pts, "damage": None}
        frames = [first, len(pts) - 1 if last is None else last]
        propagate.render(str(source), str(target), index=index, frames=frames, encode=ENCODE | encode, **self.options)
        return planes_of(target)


def planes_of(path: Path) -> list[list[np.ndarray]]:
    facts = video.probe(path)
    return [[p.copy() for p in video.planes(frame, facts)] for frame in decode(path)]


def test_a_keyframe_shows_its_edited_picture_where_its_mask_is(tmp_path):
    layer = Job(tmp_path, {3: [10, 8, 6, 5]}).layers().at(3)
    assert (layer.box, np.unique(layer.alpha).tolist()) == ([10, 8, 6, 5], [1])
    assert np.allclose(layer.rgb, np.float32(GREEN) / 255)


def test_the_rim_falls_to_nothing_outside_the_mask(tmp_path):
    layer = Job(tmp_path, {3: [20, 20, 6, 6]}, rim=3).layers().at(3)
    assert layer.box == [17, 17, 12, 12]
    assert layer.alpha[5].tolist() == [0.25, 0.5, 0.75, *[1] * 6, 0.75, 0.5, 0.25]


def test_a_keyframe_without_a_has_no_layer(tmp_path):
    assert Job(tmp_path, {3: None}).layers().at(3) is None


def test_a_frame_outside_every_interval_has_no_layer(tmp_path):
    job = Job(tmp_path, {2: [10, 8, 6, 5], 4: [10, 8, 6, 5]})
    job.move(3, (2, 4, [0, 0, 40, 30]), [10, 8, 6, 5], (0, 0), (0, 0))
    assert [job.layers().at(i) is None for i in (0, 1, 2, 3, 4, 5)] == [True, True, False, False, False, True]


@pytest.mark.parametrize("area", [[14, 8, 6, 5], [15, 9, 3, 2], [12, 6, 10, 9], [16, 11, 8, 6]])
@pytest.mark.parametrize("rim", [0, 3])
def test_between_keyframes_b_is_where_the_frames_own_mask_says_and_nothing_is_beyond_its_rim(tmp_path, area, rim):
    job = Job(tmp_path, {0: [10, 8, 6, 5], 2: [18, 8, 6, 5]}, rim)
    job.move(1, (0, 2, [4, 2, 40, 30]), area, (-4, 0), (4, 0))
    layer = job.layers().at(1)
    beyond = drawn(grow(area, rim + 1, SIZE)) == 0
    assert (weight_of(layer)[region(area)] == 1).all()
    assert not weight_of(layer)[beyond].any()
    assert np.allclose(colour_of(layer)[region(area)], GREEN, atol=0.01)


def test_a_frame_without_a_mask_has_no_layer_though_keyframes_beside_it_have_one(tmp_path):
    job = Job(tmp_path, {0: [10, 8, 6, 5], 2: [10, 8, 6, 5]})
    job.move(1, (0, 2, [0, 0, 40, 30]), None, (0, 0), (0, 0))
    assert job.layers().at(1) is None


def test_a_mask_that_was_lost_is_not_taken_for_a_frame_without_a(tmp_path):
    job = Job(tmp_path, {0: [10, 8, 6, 5], 2: [10, 8, 6, 5]})
    job.move(1, (0, 2, [0, 0, 40, 30]), [10, 8, 6, 5], (0, 0), (0, 0))
    layers = job.layers()
    (tmp_path / "between/0000/000001.png").unlink()
    with pytest.raises(UserError, match=r"000001\.png: no such picture; delete the folder .*/0000 and run again"):
        layers.at(1)


def test_after_the_last_keyframe_b_comes_from_it_alone(tmp_path):
    """However unsure the motion is: there is no other to take it from."""
    job = Job(tmp_path, {2: [10, 8, 6, 5], 9: [30, 8, 6, 5]})
    job.motion = [[[2], [3, 5], [0, 0, 40, 30]]]
    for i in (3, 4, 5):
        way = np.broadcast_to(np.float32([2 - i, 0]), (30, 40, 2)).copy()
        flow.write(tmp_path / "flow" / "0000" / f"{i:06d}.npy.gz", (way, np.zeros((30, 40), np.float32)))
        job.mask(i, drawn([8 + i, 8, 6, 5]))
    layers = job.layers()
    for i in (3, 4, 5):
        assert np.array_equal(weight_of(layers.at(i)), drawn([8 + i, 8, 6, 5]))
        assert np.allclose(colour_of(layers.at(i))[8:13, 8 + i : 14 + i], GREEN, atol=0.01)
    assert layers.at(6) is None


@pytest.mark.parametrize("area", [None, [45, 5, 9, 9], [5, 33, 9, 9]])
def test_a_mask_with_nothing_in_it_where_motion_was_measured_is_no_layer(tmp_path, area):
    job = Job(tmp_path, {0: [10, 8, 6, 5], 2: [10, 8, 6, 5]}, rim=3)
    job.move(1, (0, 2, [4, 2, 40, 30]), None, (0, 0), (0, 0))
    job.mask(1, drawn(area))
    assert job.layers().at(1) is None


def test_b_ends_where_no_motion_was_measured(tmp_path):
    job = Job(tmp_path, {0: [30, 8, 20, 5], 2: [30, 8, 20, 5]})
    job.move(1, (0, 2, [4, 2, 40, 30]), [30, 8, 20, 5], (0, 0), (0, 0))
    assert propagate.bounding(weight_of(job.layers().at(1)) == 1) == [30, 8, 14, 5]


def test_masks_and_motion_are_read_from_the_folder_of_the_frames_block(tmp_path):
    job = Job(tmp_path, {98: [10, 8, 6, 5], 102: [10, 8, 6, 5]})
    interval = (98, 102, [0, 0, 40, 30])
    for i, x in ((99, 10), (101, 20)):
        job.move(i, interval, [x, 8, 6, 5], (10 - x, 0), (10 - x, 0))
    for name in KINDS.values():
        (tmp_path / name / "0001").mkdir()
    for name, suffix in (("between", "png"), ("flow", "npy.gz")):
        (tmp_path / name / "0000" / f"000101.{suffix}").rename(tmp_path / name / "0001" / f"000101.{suffix}")
    options = job.options
    for kind, name in KINDS.items():
        options[kind] |= {"0001": str(tmp_path / name / "0001")}
    layers = Layers(job.index, **options)
    assert [propagate.bounding(weight_of(layers.at(i)) == 1)[0] for i in (99, 101)] == [10, 20]


def test_a_mask_where_motion_finds_nothing_painted_has_no_layer(tmp_path):
    job = Job(tmp_path, {0: [10, 8, 6, 5], 2: [18, 8, 6, 5]})
    job.move(1, (0, 2, [0, 0, 60, 40]), [30, 20, 5, 5], (-4, 0), (4, 0))
    assert job.layers().at(1) is None


SOURCE = (255, 0, 255)


def over_source(box: list, colour: tuple = GREEN) -> np.ndarray:
    """An edited keyframe: `colour` in a box, the source beside it."""
    return np.where(drawn(box)[..., None] > 0, colour, SOURCE).astype(np.uint8)


@pytest.mark.parametrize("rim", [0, 3])
@pytest.mark.parametrize("way", [(0, 0), (2, -1), (0.5, 0.5)])
def test_what_neither_keyframe_painted_has_the_nearest_painted_colour_and_never_the_sources(tmp_path, way, rim):
    box, wider = [12, 10, 8, 6], [8, 6, 16, 14]
    job = Job(tmp_path, {}, rim)
    for k in (0, 2):
        picture = over_source(box)
        picture[10:16, 16:20] = (0, 0, 200)
        job.put(k, picture, drawn(box))
    job.move(1, (0, 2, [0, 0, 40, 30]), wider, way, way)
    colour = colour_of(job.layers().at(1))
    assert np.abs(colour[6:20, 8:14] - GREEN).max() < 3
    assert np.abs(colour[6:20, 17:24] - [0, 0, 200]).max() < 3
    assert colour[6:20, 8:24, 0].max() < 3  # the source is red


def test_what_one_keyframe_does_not_show_comes_from_the_other_however_unsure(tmp_path):
    job = Job(tmp_path, {}, rim=0)
    job.put(0, over_source([10, 8, 3, 5]), drawn([10, 8, 3, 5]))
    job.put(2, over_source([10, 8, 6, 5], (0, 0, 200)), drawn([10, 8, 6, 5]))
    job.move(1, (0, 2, [0, 0, 40, 30]), [10, 8, 6, 5], (0, 0), (0, 0), sure=(1, 0.1))
    shown = colour_of(job.layers().at(1))[8:13, 10:16]
    assert np.abs(shown[:, :3] - [0, 200 / 1.1, 20 / 1.1]).max() < 1
    assert np.abs(shown[:, 3:] - [0, 0, 200]).max() < 1


# ---- pixels that are not known -----------------------------------------------------------------------------------


def test_unknown_pixels_get_the_nearest_known_one_and_known_ones_stay():
    rng = np.random.default_rng(0)
    picture, known = rng.random((30, 40, 3)).astype(np.float32), rng.random((30, 40)) < 0.03
    result = propagate.filled(picture, known)
    assert np.array_equal(result[known], picture[known])
    ys, xs = np.nonzero(known)
    for y, x in zip(*np.nonzero(~known), strict=True):
        away = np.hypot(ys - y, xs - x)
        taken = np.flatnonzero((picture[ys, xs] == result[y, x]).all(-1))
        assert len(taken) == 1
        assert away[taken[0]] <= 1.05 * away.min()  # as near as OpenCV can tell


@pytest.mark.parametrize("known", [True, False])
def test_where_all_or_none_is_known_a_picture_stays_as_it_is(known):
    picture = np.random.default_rng(0).random((6, 8, 3)).astype(np.float32)
    assert np.array_equal(propagate.filled(picture, np.full((6, 8), known)), picture)


def test_what_is_filled_stays_as_it_was_given():
    picture, known = np.zeros((4, 6, 3), np.float32), np.zeros((4, 6), bool)
    picture[:, 0], known[:, 0] = 1, True
    assert propagate.filled(picture, known).min() == 1
    assert picture[:, 1:].max() == 0


# ---- what the keyframes weigh ------------------------------------------------------------------------------------


def colours_of(tmp_path: Path, i: int, sure: tuple) -> np.ndarray:
    """The colour in the middle of A in frame i between a red keyframe 0 and a blue keyframe 4."""
    job = Job(tmp_path, {0: [10, 8, 6, 5], 4: [10, 8, 6, 5]})
    for k, colour in ((0, (255, 0, 0)), (4, (0, 0, 255))):
        images.write_png(job.edited[f"{k:06d}"], np.full((*SIZE[::-1], 3), colour, np.uint8))
    job.move(i, (0, 4, [0, 0, 40, 30]), [10, 8, 6, 5], (0, 0), (0, 0), sure)
    return colour_of(job.layers().at(i))[10, 13] / 255


@pytest.mark.parametrize("i, red", [(1, 0.75), (2, 0.5), (3, 0.25)])
def test_a_nearer_keyframe_weighs_more(tmp_path, i, red):
    assert np.allclose(colours_of(tmp_path, i, (1, 1)), [red, 0, 1 - red], atol=1e-3)


def test_a_surer_keyframe_weighs_more(tmp_path):
    assert np.allclose(colours_of(tmp_path, 2, (0.2, 0.8)), [0.2, 0, 0.8], atol=5e-3)


def test_where_neither_is_sure_the_nearer_still_counts(tmp_path):
    assert np.allclose(colours_of(tmp_path, 1, (0, 0)), [0.75, 0, 0.25], atol=1e-3)


def test_where_only_one_keyframe_is_seen_it_gives_all_the_colour(tmp_path):
    assert np.allclose(colours_of(tmp_path, 1, (0, 1)), [0, 0, 1], atol=5e-3)


def test_unsure_motion_does_not_thin_the_edit(tmp_path):
    job = Job(tmp_path, {0: [10, 8, 6, 5], 4: [10, 8, 6, 5]})
    job.move(1, (0, 4, [0, 0, 40, 30]), [10, 8, 6, 5], (0, 0), (0, 0), sure=(0.3, 0.1))
    assert (weight_of(job.layers().at(1))[8:13, 10:16] == 1).all()


def rim_of(tmp_path: Path, first=(0, 0), last=(0, 0), keyframes: dict | None = None) -> Layer:
    """Of frame 1, where motion was measured in no more than the box of A; the rim is 4 pixels wide."""
    box = [10, 8, 6, 5]
    job = Job(tmp_path, keyframes or {0: box, 2: box}, rim=4)
    for k in (0, 2):
        ramp = np.broadcast_to(np.uint8(4 * np.arange(64))[None, :, None], (48, 64, 3))
        images.write_png(job.edited[f"{k:06d}"], ramp.copy())
    job.move(1, (0, 2, box), box, first, last)
    return job.layers().at(1)


def test_the_rim_reaches_beyond_the_box_in_which_motion_was_measured(tmp_path):
    weight = weight_of(rim_of(tmp_path))[10, 4:22]
    assert np.allclose(weight[[2, 3, 4, 13, 14, 15]], [0.2, 0.4, 0.6, 0.6, 0.4, 0.2], atol=0.03)
    assert (weight[6:12] == 1).all()
    assert (np.diff(weight[1:7]) > 0).all() and (np.diff(weight[11:17]) < 0).all()


def test_the_rim_falls_to_nothing_in_all_directions(tmp_path):
    weight = weight_of(rim_of(tmp_path))
    assert not weight[drawn([6, 4, 14, 13]) == 0].max() > 0.01
    assert weight[4, 10:16].min() > 0.1 and weight[16, 10:16].min() > 0.1
    assert weight[4, 6] < 0.01  # a corner is farther away


def test_the_rim_shows_what_is_beside_b_where_the_edge_of_the_box_moves_on(tmp_path):
    colour = colour_of(rim_of(tmp_path, (8, 0), (8, 0), dict.fromkeys((0, 2), [18, 8, 6, 5])))
    assert np.allclose(colour[10, 6:20, 0], 4 * (np.arange(6, 20) + 8), atol=4.5)  # it may be a pixel's nearest one


AREA, WIDER = [20, 12, 12, 16], [10, 12, 22, 16]


def edge_of(tmp_path: Path, first: list, last: list) -> tuple[np.ndarray, np.ndarray]:
    """Weight and colour of row 20 of a frame in which A begins at 20, with a rim of 6; boxes of B in the keyframes."""
    job = Job(tmp_path, {}, rim=6)
    for k, box in ((0, first), (2, last)):
        job.put(k, over_source(box), drawn(box))
    job.move(1, (0, 2, [0, 0, 64, 48]), AREA, (0, 0), (0, 0))
    layer = job.layers().at(1)
    return weight_of(layer)[20], colour_of(layer)[20]


def test_b_is_soft_at_its_edge_and_the_rest_of_the_rim_shows_what_is_beside_it(tmp_path):
    weight, colour = edge_of(tmp_path, AREA, AREA)
    green = colour[:, 1] * weight / 200  # how much of a pixel B is
    assert np.allclose(green[20:32], 1)
    assert np.allclose(green[16:20], [0, 0.006, 0.067, 0.309], atol=0.01)  # a normal distribution of 1 pixel
    assert np.abs(colour[14:17] - SOURCE).max() < 3
    assert np.allclose(weight[13:18], np.arange(5) / 7, atol=0.01)


def test_where_both_keyframes_show_b_just_beside_the_mask_b_is_shown(tmp_path):
    weight, colour = edge_of(tmp_path, WIDER, WIDER)
    assert np.allclose(weight[18:32], 1) and np.abs(colour[18:32] - GREEN).max() < 1


def test_where_keyframes_show_b_but_the_mask_is_far_the_source_stays(tmp_path):
    assert edge_of(tmp_path, WIDER, WIDER)[0][:17].max() < 0.01


def test_beside_the_mask_a_keyframe_that_shows_b_there_gives_nothing(tmp_path):
    weight, colour = edge_of(tmp_path, WIDER, AREA)
    assert np.abs(colour[14:17] - SOURCE).max() < 3
    assert np.allclose(weight[14:17], np.arange(1, 4) / 7 / 2, atol=0.01)


def test_each_pixel_moves_as_its_own_place_in_the_box_does(tmp_path):
    job, everywhere, box = Job(tmp_path, {}), drawn([0, 0, *SIZE]), [4, 2, 40, 30]
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    for k in (0, 2):
        job.put(k, np.dstack([4 * x, 5 * y, 0 * x]).astype(np.uint8), everywhere)
    way = np.zeros((48, 64, 2), np.float32)
    way[..., 0], way[..., 1] = np.where(x < 24, 3, -5), np.where(y < 16, 7, -4)
    job.move(1, (0, 2, box), [14, 8, 20, 16], *[way[region(box)]] * 2)
    found, expected = colour_of(job.layers().at(1)), np.dstack([4 * (x + way[..., 0]), 5 * (y + way[..., 1])])
    for rows in (slice(8, 13), slice(19, 24)):
        for columns in (slice(14, 21), slice(27, 34)):
            assert np.abs(found[rows, columns, :2] - expected[rows, columns]).max() < 0.1


def test_each_keyframe_is_read_once_and_two_are_held(tmp_path, monkeypatch):
    job, read, really_read = Job(tmp_path, dict.fromkeys(range(0, 20, 2), [10, 8, 6, 5])), [], images.read_rgb
    monkeypatch.setattr(images, "read_rgb", lambda path, size: read.append(Path(path).stem) or really_read(path, size))
    for i in range(1, 18, 2):
        job.move(i, (i - 1, i + 1, [0, 0, 40, 30]), [10, 8, 6, 5], (0, 0), (0, 0))
    layers, held = job.layers(), []
    for i in range(19):
        layers.at(i)
        held.append(layers.keyframe.cache_info().currsize)
    assert read == sorted(job.edited)
    assert max(held) == 2


# ---- a whole video -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """In frame i a white square of 12 pixels stands at (i, 8) on still ground."""
    return write_clip(tmp_path_factory.mktemp("out") / "source.mp4", moving_square(9), qp="0")


def test_a_video_without_edits_keeps_every_sample(source, tmp_path):
    result = Job(tmp_path, {2: None, 6: None}).render(source, tmp_path / "out.nut")
    pairs = zip(planes_of(source), result, strict=True)
    assert all(np.array_equal(a, b) for before, after in pairs for a, b in zip(before, after, strict=True))


@pytest.fixture(scope="module")
def job(tmp_path_factory) -> Job:
    """The square painted green at frames 2 and 6 and carried between, by its true motion."""
    job = Job(tmp_path_factory.mktemp("carried"), {2: [2, 8, 12, 12], 6: [6, 8, 12, 12]})
    for i in (3, 4, 5):
        job.move(i, (2, 6, [0, 0, 40, 40]), [i, 8, 12, 12], (2 - i, 0), (6 - i, 0))
    return job


@pytest.fixture(scope="module")
def carried(job, source) -> list[list[np.ndarray]]:
    return job.render(source, job.folder / "out.nut")


@pytest.mark.parametrize("first, last", [(0, 3), (4, 4), (5, 8)])
def test_a_stretch_holds_the_same_frames_as_the_whole(job, carried, source, tmp_path, first, last):
    found = job.render(source, tmp_path / "out.nut", first, last)
    assert len(found) == last + 1 - first
    for planes, expected in zip(found, carried[first:], strict=False):
        assert all(np.array_equal(a, b) for a, b in zip(planes, expected, strict=True))


@pytest.mark.parametrize("i", [2, 3, 4, 5, 6])
def test_the_edit_is_carried_with_the_object(carried, source, i):
    luma, before = carried[i][0], planes_of(source)[i][0]
    inside = np.zeros((48, 64), bool)
    inside[8:20, i : i + 12] = True
    green = 16 + 219 * 0.7152 * 200 / 255  # BT.709
    assert np.abs(luma[inside] - green).max() <= 1
    assert np.array_equal(luma[~inside], before[~inside])


@pytest.mark.parametrize("i", [0, 1, 7, 8])
def test_no_frame_outside_the_segments_is_touched(carried, source, i):
    assert all(np.array_equal(a, b) for a, b in zip(carried[i], planes_of(source)[i], strict=True))


LUMA = {1: 0.7152, 6: 0.587, 9: 0.678}  # the weight of green, by ffmpeg's number: BT.709-6, BT.601-7, BT.2020-2


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("chroma, colorspace", [("420", 1), ("422", 6), ("444", 9)])
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_in_every_format_the_edit_has_its_colour_and_all_other_samples_are_the_sources(
    tmp_path, bits, chroma, colorspace, full_range
):
    pix_fmt = f"yuv{chroma}p" + (f"{bits}le" if bits > 8 else "")
    options = {"pix_fmt": pix_fmt, "colorspace": colorspace, "full_range": full_range}
    source = write_clip(tmp_path / "a.mkv", noise(pix_fmt, SIZE), codec="ffv1", **options)
    job = Job(tmp_path, {0: [10, 8, 12, 6]})
    (before,), (after,) = planes_of(source), job.render(source, tmp_path / "out.nut", codec="libx265")
    for plane, (x, y) in zip(range(3), [(1, 1), *[tuple(video.probe(source)["chroma"])] * 2], strict=True):
        at = region([10 // x, 8 // y, 12 // x, 6 // y])
        if plane == 0:
            offset, span = (0, 2**bits - 1) if full_range else (16 << bits - 8, 219 << bits - 8)
            assert np.unique(after[0][at]).tolist() == [round(offset + span * LUMA[colorspace] * 200 / 255)]
        after[plane][at] = before[plane][at]
        assert np.array_equal(after[plane], before[plane])


def test_a_failure_halfway_leaves_no_video(source, tmp_path):
    job = Job(tmp_path, {2: [2, 8, 12, 12], 6: [6, 8, 12, 12]})
    job.motion = [gap(2, 6, [0, 0, 40, 40])]
    job.mask(3, drawn([3, 8, 12, 12]))  # and no flow on disk
    with pytest.raises(Exception, match="000003.npy.gz: missing or damaged"):
        job.render(source, tmp_path / "out" / "a.nut")
    assert list((tmp_path / "out").iterdir()) == []


# ---- light, and edits that differ --------------------------------------------------------------------------------


def flashing(path: Path, light: list[float]) -> Path:
    """A still clip of which frame i is light[i] times as bright."""
    picture = np.random.default_rng(0).integers(40, 200, (*SIZE[::-1], 3))
    return write_clip(path, [np.uint8(picture * factor) for factor in light], pix_fmt="yuv444p", qp="0")


def still(job: Job, source: Path, keyframes: tuple[int, int], box: list) -> Job:
    """A that rests in `box`, with the source's keyframes beside the edited ones."""
    job.sources = {}
    for i, frame in enumerate(decode(source)):
        if i in keyframes:
            job.sources[f"{i:06d}"] = str(job.folder / f"source{i}.png")
            images.write_png(Path(job.sources[f"{i:06d}"]), frame.to_ndarray(format="rgb24"))
        elif keyframes[0] < i < keyframes[1]:
            job.move(i, (*keyframes, [0, 0, *SIZE]), box, (0, 0), (0, 0))
    return job


@pytest.mark.parametrize("follow, expected", [(False, 1), (True, 0.7)])
def test_b_is_as_much_darker_as_the_source_is_where_that_is_asked_for(tmp_path, follow, expected):
    source, box = flashing(tmp_path / "a.mp4", [1, 0.7, 1]), [10, 8, 30, 24]
    job = still(Job(tmp_path, {0: box, 2: box}), source, (0, 2), box)
    options = {"sources": job.sources, "follow_light": follow}
    index = {"stream": video.probe(source) | {"upright": list(SIZE)}}
    found = Layers(index, **job.options, **options).at(1, decode(source)[1])
    green = found.rgb[found.alpha == 1][:, 1]
    assert np.allclose(green, expected * GREEN[1] / 255, atol=0.05)


@pytest.mark.parametrize("smooth, apart", [(0, 60), (0.5, 20), (1, 0)])
def test_what_differs_between_neighbours_is_evened_out_as_much_as_is_asked_for(tmp_path, smooth, apart):
    source, box = flashing(tmp_path / "a.mp4", [1, 1, 1]), [10, 8, 30, 24]
    job = still(Job(tmp_path, {0: box, 2: box}), source, (0, 2), box)
    for i, gray in ((0, 100), (2, 160)):
        job.put(i, np.full((*SIZE[::-1], 3), gray, np.uint8), 255 * drawn(box))
    layers = Layers(job.index, **job.options, sources=job.sources, smooth=smooth)
    middles = [255 * layers.at(i).rgb[10, 10, 0] for i in (0, 1, 2)]
    assert middles[2] - middles[0] == pytest.approx(apart, abs=1.5)
    assert middles[1] == pytest.approx(130, abs=1)


def test_edits_that_differ_meet_without_a_seam(tmp_path):
    box = [2, 2, 56, 36]
    job = Job(tmp_path, {0: box, 2: box})
    for i, gray in ((0, 100), (2, 160)):
        job.put(i, np.full((*SIZE[::-1], 3), gray, np.uint8), 255 * drawn(box))
    sure = np.zeros((SIZE[1], SIZE[0]), np.float32)
    sure[:, :30] = 1
    job.move(1, (0, 2, [0, 0, *SIZE]), box, (0, 0), (0, 0), (sure, 1 - sure))
    row = 255 * job.layers().at(1).rgb[18, :, 0]
    assert row[2] < 110 and row[-3] > 150
    assert np.abs(np.diff(row[2:-2])).max() < 6
