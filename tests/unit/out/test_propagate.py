"""The edited keyframes over the source: where the layer lands, what it weighs, and what stays the same bits."""

from pathlib import Path

import numpy as np
import pytest

from clevam import flow, images, propagate, video
from clevam.orientation import upright_size
from clevam.propagate import Layer, Layers, composite
from clips import decode, moving_square, noise, write_clip

SIZE = (64, 48)
ENCODE = {"codec": "libx264", "crf": 18.0, "preset": "ultrafast", "lossless": True}
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
    covered[propagate.region(box)] = 1
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


class Job:
    """Keyframes that are flat green, masks and flows on disk: what `render` gets from the stages before it."""

    def __init__(self, folder: Path, keyframes: dict[int, list | None], rim: int = 0) -> None:
        """keyframes: {frame: box of A, or None}."""
        self.folder, self.rim, self.motion = folder, rim, []
        self.edited, self.masks = {}, {}
        for i, box in keyframes.items():
            mask = np.zeros(SIZE[::-1], np.uint8)
            if box:
                mask[propagate.region(box)] = 255
            self.put(i, np.full((*SIZE[::-1], 3), GREEN, np.uint8), mask)

    def put(self, i: int, picture: np.ndarray, mask: np.ndarray) -> None:
        for kind, pixels, paths in (("edited", picture, self.edited), ("masks", mask, self.masks)):
            paths[f"{i:06d}"] = str(self.folder / kind / f"{i:06d}.png")
            images.write_png(paths[f"{i:06d}"], pixels)

    def move(self, i: int, interval: tuple, first, last, sure=(1.0, 1.0)) -> None:
        """Frame i of [a, b, box] moves by the displacement `first` to a and `last` to b, over the whole box."""
        shape = (interval[2][3], interval[2][2])
        fields = [
            (np.broadcast_to(np.float32(d), (*shape, 2)).copy(), np.broadcast_to(np.float32(s), shape).copy())
            for d, s in zip((first, last), sure, strict=True)
        ]
        (self.folder / "0000").mkdir(exist_ok=True)
        flow.write(self.folder / "0000" / f"{i:06d}.npz", *fields)
        if list(interval) not in self.motion:
            self.motion.append(list(interval))

    @property
    def plan(self) -> dict:
        return {"regions": 1, "motion": self.motion}

    def layers(self) -> Layers:
        index = {"stream": {"upright": list(SIZE)}}
        return Layers(index, self.plan, self.edited, self.masks, {"0000": str(self.folder / "0000")}, 100, self.rim)

    def render(self, source: Path, target: Path) -> list[list[np.ndarray]]:
        """The planes of the frames of the result."""
        facts = video.probe(source)
        pts = [frame.pts for frame in decode(source)]
        index = {"stream": facts | {"upright": list(upright_size(facts))}, "pts": pts, "damage": None}
        propagate.render(
            str(source), str(target), index=index, plan=self.plan, edited=self.edited, masks=self.masks,
            flows={"0000": str(self.folder / "0000")}, block=100, rim=self.rim, encode=ENCODE,
        )  # fmt: skip
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
    job.move(3, (2, 4, [0, 0, 40, 30]), (0, 0), (0, 0))
    assert [job.layers().at(i) is None for i in (0, 1, 2, 3, 4, 5)] == [True, True, False, False, False, True]


def test_between_keyframes_the_edit_is_where_the_motion_leads(tmp_path):
    job = Job(tmp_path, {0: [10, 8, 6, 5], 2: [18, 8, 6, 5]})
    job.move(1, (0, 2, [4, 2, 40, 30]), (-4, 0), (4, 0))
    layer = job.layers().at(1)
    weight = np.zeros(SIZE[::-1])
    weight[propagate.region(layer.box)] = layer.alpha
    assert propagate.bounding(weight > 0.5) == [14, 8, 6, 5]
    assert np.allclose(layer.rgb[layer.alpha > 0.5], np.float32(GREEN) / 255, atol=1e-3)


def colours_of(tmp_path: Path, i: int, sure: tuple) -> np.ndarray:
    """The colour in the middle of A in frame i between a red keyframe 0 and a blue keyframe 4."""
    job = Job(tmp_path, {0: [10, 8, 6, 5], 4: [10, 8, 6, 5]})
    for k, colour in ((0, (255, 0, 0)), (4, (0, 0, 255))):
        images.write_png(job.edited[f"{k:06d}"], np.full((*SIZE[::-1], 3), colour, np.uint8))
    job.move(i, (0, 4, [0, 0, 40, 30]), (0, 0), (0, 0), sure)
    return job.layers().at(i).rgb[10, 13]


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
    job.move(1, (0, 4, [0, 0, 40, 30]), (0, 0), (0, 0), sure=(0.3, 0.1))
    assert job.layers().at(1).alpha[8:13, 10:16].min() == pytest.approx(1)


def test_the_rim_reaches_beyond_the_box_in_which_motion_was_measured(tmp_path):
    job = Job(tmp_path, {0: [10, 8, 6, 5], 2: [10, 8, 6, 5]}, rim=4)
    job.move(1, (0, 2, [10, 8, 6, 5]), (0, 0), (0, 0))
    layer = job.layers().at(1)
    assert layer.box == [6, 4, 14, 13]
    assert np.allclose(layer.alpha[6], [0.2, 0.4, 0.6, 0.8, *[1] * 6, 0.8, 0.6, 0.4, 0.2], atol=0.01)


def test_the_rim_moves_on_as_the_edge_of_the_box_does(tmp_path):
    job, box = Job(tmp_path, {0: [10, 8, 6, 5], 2: [10, 8, 6, 5]}, rim=4), [10, 8, 6, 5]
    job.move(1, (0, 2, box), (0, 0), (0, 0))
    still = np.zeros((5, 6, 2), np.float32), np.ones((5, 6), np.float32)
    away = still[0].copy(), still[1]
    away[0][:, :2] = (0, 30)  # the left third comes from where A is not
    flow.write(tmp_path / "0000" / "000001.npz", away, away)
    alpha = job.layers().at(1).alpha[6]  # 4 of rim, 6 of box, 4 of rim
    assert alpha[:5].max() < 0.25
    assert np.allclose(alpha[7:], [1, 1, 1, 0.8, 0.6, 0.4, 0.2], atol=0.01)


def test_each_keyframe_is_read_once_and_two_are_held(tmp_path, monkeypatch):
    job, read, really_read = Job(tmp_path, dict.fromkeys(range(0, 20, 2), [10, 8, 6, 5])), [], images.read_rgb
    monkeypatch.setattr(images, "read_rgb", lambda path, size: read.append(Path(path).stem) or really_read(path, size))
    for i in range(1, 18, 2):
        job.move(i, (i - 1, i + 1, [0, 0, 40, 30]), (0, 0), (0, 0))
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
    result = Job(tmp_path, {2: None, 6: None}).render(source, tmp_path / "out.mp4")
    pairs = zip(planes_of(source), result, strict=True)
    assert all(np.array_equal(a, b) for before, after in pairs for a, b in zip(before, after, strict=True))


@pytest.fixture(scope="module")
def carried(source, tmp_path_factory) -> list[list[np.ndarray]]:
    """The square painted green at frames 2 and 6 and carried between, by its true motion."""
    folder = tmp_path_factory.mktemp("carried")
    job = Job(folder, {2: [2, 8, 12, 12], 6: [6, 8, 12, 12]})
    for i in (3, 4, 5):
        job.move(i, (2, 6, [0, 0, 40, 40]), (2 - i, 0), (6 - i, 0))
    return job.render(source, folder / "out.mp4")


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


def test_a_failure_halfway_leaves_no_video(source, tmp_path):
    job = Job(tmp_path, {2: [2, 8, 12, 12], 6: [6, 8, 12, 12]})
    job.motion = [[2, 6, [0, 0, 40, 40]]]  # and no flow on disk
    with pytest.raises(Exception, match="000003.npz: missing or damaged"):
        job.render(source, tmp_path / "out" / "a.mp4")
    assert list((tmp_path / "out").iterdir()) == []
