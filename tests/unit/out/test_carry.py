"""Masks of the frames between keyframes: carried there by motion, drawn anew, or known of every frame."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from clevam import carry, flow, images, locate, video
from clevam.errors import UserError
from clevam.files import seal
from clevam.geometry import region
from clevam.orientation import upright_size
from clevam.shapes import Tools
from clevam.snap import snap
from clips import decode, moving_square, write_clip

SIZE = (64, 48)
EVERYWHERE = [0, 0, *SIZE]


def as_it_is(picture: np.ndarray, shares: np.ndarray) -> np.ndarray:
    return shares


def labels_of(boxes: dict[int, list], size: tuple[int, int] = SIZE) -> np.ndarray:
    """A label map with {label: box}, the later in front."""
    result = np.zeros(size[::-1], np.uint8)
    for label, box in boxes.items():
        result[region(box)] = label
    return result


def index_of(path: Path) -> dict:
    facts = video.probe(path)
    index = {"stream": facts | {"upright": list(upright_size(facts))}, "damage": None}
    return index | {"pts": [frame.pts for frame in decode(path)]}


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """In frame i a white square of 12 pixels stands at (i, 8) on still ground, 10 frames."""
    return write_clip(tmp_path_factory.mktemp("carry") / "clip.mp4", moving_square(10), qp="0")


def gap(a: int, b: int, box: list | None) -> list:
    """The frames between two keyframes, as plan.json has them."""
    return [[a, b], [a + 1, b - 1], box]


def flowing(by, shape: tuple[int, int], sure=1.0) -> flow.Motion:
    """All of a box [H, W] moves alike; or each pixel by its own, where arrays are given."""
    return np.broadcast_to(np.float32(by), (*shape, 2)).copy(), np.broadcast_to(np.float32(sure), shape).copy()


class Job:
    """Keyframes' masks and motion on disk: what `carry.write` gets from the stages before it."""

    def __init__(self, folder: Path, keyframes: dict[int, np.ndarray], regions: int = 1) -> None:
        """keyframes: {frame: label map}."""
        self.folder, self.regions, self.motion, self.masks = folder, regions, [], {}
        for i, labels in keyframes.items():
            self.masks[f"{i:06d}"] = str(folder / "masks" / f"{i:06d}.png")
            images.write_labels(self.masks[f"{i:06d}"], labels, regions)
        (folder / "flow").mkdir()

    def move(self, i: int, interval: list, first, last, sure=(1.0, 1.0)) -> None:
        """In frame i of [a, b, box] all of the box moves by `first` to a and by `last` to b; arrays for each pixel."""
        shape = interval[2][:1:-1]
        ways = [flowing(by, shape, each) for by, each in zip((first, last), sure, strict=True)]
        flow.write(self.folder / "flow" / f"{i:06d}.npy.gz", *ways)
        if interval not in self.motion:
            self.motion.append(interval)

    def write(self, clip: Path, frames=(0, 99), refine=as_it_is, **options) -> dict[int, np.ndarray]:
        """{frame: label map} that it writes."""
        target = self.folder / "out" / "0000"
        carry.write(
            str(clip), str(target), index=index_of(clip), plan={"regions": self.regions, "motion": self.motion},
            masks=self.masks, flows=str(self.folder / "flow"), frames=frames, refine=refine, **options,
        )  # fmt: skip
        assert [path.name for path in target.parent.iterdir()] == ["0000"]
        return written(target, self.regions)


def written(folder: Path, regions: int) -> dict[int, np.ndarray]:
    return {int(path.stem): images.read_labels(path, regions) for path in sorted(folder.glob("[!.]*"))}


def square_at(x: int) -> np.ndarray:
    return labels_of({1: [x, 8, 12, 12]})


# ---- carried by motion -------------------------------------------------------------------------------------------


def test_true_motion_carries_the_mask_of_a_moving_square_exactly(clip, tmp_path):
    job = Job(tmp_path, {2: square_at(2), 6: square_at(6)})
    for i in (3, 4, 5):
        job.move(i, gap(2, 6, [0, 0, 40, 40]), (2 - i, 0), (6 - i, 0))
    found = job.write(clip)
    assert list(found) == [3, 4, 5]
    assert all(np.array_equal(found[i], square_at(i)) for i in (3, 4, 5))


def test_masks_are_of_the_whole_frame_wherever_the_box_is(clip, tmp_path):
    job = Job(tmp_path, {0: labels_of({1: [30, 20, 9, 7]}), 2: labels_of({1: [36, 24, 9, 7]})})
    job.move(1, gap(0, 2, [23, 15, 31, 29]), (-3, -2), (3, 2))
    assert np.array_equal(job.write(clip)[1], labels_of({1: [33, 22, 9, 7]}))


def test_regions_keep_their_labels_wherever_each_of_them_goes(clip, tmp_path):
    at = [{1: [4 + 2 * i, 5, 8, 8], 2: [40 - 2 * i, 28, 10, 9], 3: [44, 6, 5, 5]} for i in range(3)]
    job = Job(tmp_path, {0: labels_of(at[0]), 2: labels_of(at[2])}, regions=3)
    there = np.zeros((48, 64, 2), np.float32)
    there[:18, :30], there[22:] = (-2, 0), (2, 0)
    job.move(1, gap(0, 2, EVERYWHERE), there, -there)
    assert np.array_equal(job.write(clip)[1], labels_of(at[1]))


def test_a_region_before_another_covers_it_as_it_did_at_the_keyframes(clip, tmp_path):
    both = {1: [10, 10, 20, 20], 2: [15, 14, 8, 8]}
    job = Job(tmp_path, {0: labels_of(both), 2: labels_of(both)}, regions=2)
    job.move(1, gap(0, 2, EVERYWHERE), (0, 0), (0, 0))
    assert np.array_equal(job.write(clip)[1], labels_of(both))


@pytest.mark.parametrize("sure, expected", [((1, 0.1), True), ((0.1, 1), False), ((0, 0), True)])
def test_where_keyframes_disagree_the_surer_decides_and_then_the_nearer(clip, tmp_path, sure, expected):
    job = Job(tmp_path, {0: square_at(3), 4: labels_of({})})
    job.move(1, gap(0, 4, EVERYWHERE), (0, 0), (0, 0), sure)
    assert (list(job.write(clip, (1, 1))) == [1]) == expected


def test_it_is_decided_pixel_by_pixel(clip, tmp_path):
    job = Job(tmp_path, {0: labels_of({1: [10, 10, 20, 20]}), 2: labels_of({})})
    first = np.ones((48, 64))
    first[:, 20:] = 0.1
    job.move(1, gap(0, 2, EVERYWHERE), (0, 0), (0, 0), (first, 1.1 - first))
    assert np.array_equal(job.write(clip)[1], labels_of({1: [10, 10, 10, 20]}))


def test_the_whole_frame_stays_whole(clip, tmp_path):
    job = Job(tmp_path, dict.fromkeys((0, 2), np.ones(SIZE[::-1], np.uint8)))
    job.move(1, gap(0, 2, EVERYWHERE), (-9, 4), (13, -8), (0.3, 0))
    for refine in (as_it_is, snap):
        assert job.write(clip, refine=refine)[1].min() == 1


def test_the_frame_behind_a_thing_has_all_that_the_thing_has_not(clip, tmp_path):
    at = [{1: EVERYWHERE, 2: [10 + 4 * i, 10, 12, 12]} for i in range(3)]
    job = Job(tmp_path, {0: labels_of(at[0]), 2: labels_of(at[2])}, regions=2)
    job.move(1, gap(0, 2, EVERYWHERE), (-4, 0), (4, 0))
    assert np.array_equal(job.write(clip)[1], labels_of(at[1]))


# ---- which frames ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frames, expected", [((0, 99), [1, 2, 3, 7]), ((0, 2), [1, 2]), ((3, 6), [3]), ((4, 6), []), ((7, 7), [7])]
)
def test_frames_of_the_block_strictly_between_keyframes_with_a_are_written(clip, tmp_path, frames, expected):
    job = Job(tmp_path, dict.fromkeys((0, 4, 6, 8), square_at(3)))
    job.motion = [gap(0, 4, EVERYWHERE), gap(4, 6, None), gap(6, 8, EVERYWHERE)]
    for i in (1, 2, 3, 7):
        job.move(i, job.motion[0 if i < 4 else 2], (0, 0), (0, 0))
    assert list(job.write(clip, frames)) == expected


def test_each_frame_lies_between_its_own_keyframes_in_their_box():
    plan = {"motion": [gap(0, 2, [1, 2, 3, 4]), gap(2, 6, None), gap(6, 9, [5, 6, 7, 8])]}
    assert carry.between(plan, [0, 7]) == {1: ([0, 2], [1, 2, 3, 4]), 7: ([6, 9], [5, 6, 7, 8])}


def test_a_block_with_nothing_between_keyframes_is_an_empty_folder(tmp_path):
    carry.write(
        "no such video", str(tmp_path / "0000"), index={"stream": {"upright": SIZE}, "pts": []}, masks={},
        plan={"regions": 1, "motion": [gap(0, 4, None)]}, flows="none", frames=[0, 9], refine=as_it_is,
    )  # fmt: skip
    assert list((tmp_path / "0000").glob("*.png")) == []


def test_a_frame_that_a_is_not_in_has_no_file(clip, tmp_path):
    job = Job(tmp_path, {0: square_at(3), 3: labels_of({})})
    job.move(1, gap(0, 3, EVERYWHERE), (0, 0), (0, 0))
    job.move(2, gap(0, 3, EVERYWHERE), (30, 25), (0, 0))  # seen neither where the motion leads nor in keyframe 3
    assert list(job.write(clip)) == [1]


def test_what_is_left_from_before_is_gone(clip, tmp_path):
    job = Job(tmp_path, dict.fromkeys((0, 2), square_at(3)))
    job.move(1, gap(0, 2, EVERYWHERE), (0, 0), (0, 0))
    images.write_labels(tmp_path / "out" / "0000" / "000005.png", square_at(0), 1)
    assert list(job.write(clip)) == [1]


def test_missing_motion_is_named_and_leaves_nothing(clip, tmp_path):
    job = Job(tmp_path, dict.fromkeys((0, 2), square_at(3)))
    job.motion = [gap(0, 2, EVERYWHERE)]
    with pytest.raises(UserError, match="000001.npy.gz: missing or damaged"):
        job.write(clip)
    assert list((tmp_path / "out").iterdir()) == []


def test_after_the_last_keyframe_its_mask_is_carried_alone(clip, tmp_path):
    job = Job(tmp_path, {2: square_at(2)})
    for i in (3, 4, 5):
        flow.write(tmp_path / "flow" / f"{i:06d}.npy.gz", flowing((2 - i, 0), (40, 40), sure=0.1))
    job.motion = [[[2], [3, 5], [0, 0, 40, 40]]]
    found = job.write(clip)
    assert list(found) == [3, 4, 5]
    assert all(np.array_equal(found[i], square_at(i)) for i in (3, 4, 5))


# ---- drawn anew --------------------------------------------------------------------------------------------------


def test_a_mask_is_drawn_anew_from_the_upright_picture_in_the_box_and_the_carried_shares(tmp_path):
    pictures = moving_square(3)
    clip = write_clip(tmp_path / "clip.mp4", pictures, pix_fmt="yuv444p", rotation=90, qp="0")
    size, box, seen = SIZE[::-1], [5, 7, 30, 40], []
    job = Job(tmp_path, dict.fromkeys((0, 2), labels_of({1: [10, 30, 9, 8], 2: [22, 30, 9, 8]}, size)), regions=2)
    job.move(1, gap(0, 2, box), (0, 0), (0, 0))

    def refine(picture: np.ndarray, shares: np.ndarray) -> np.ndarray:
        seen.append((picture, shares))
        return np.roll(shares, 3, axis=1)

    (found,) = job.write(clip, refine=refine).values()
    ((picture, shares),) = seen
    expected = np.rot90(pictures[1])[region(box)]
    assert (picture.shape, picture.dtype) == ((40, 30, 3), np.uint8)
    assert np.abs(picture.astype(int) - expected).max() <= 4  # rounded to YUV and back
    assert (shares.shape, shares.dtype) == ((2, 40, 30), np.float32)
    assert [np.argwhere(share)[0].tolist() for share in shares] == [[23, 5], [23, 17]]
    assert np.array_equal(found, labels_of({1: [10, 33, 9, 8], 2: [22, 33, 9, 8]}, size))


def test_motion_a_pixel_off_is_put_right_by_the_edges_of_the_picture(clip, tmp_path):
    job = Job(tmp_path, {2: square_at(2), 6: square_at(6)})
    job.move(4, gap(2, 6, [0, 0, 40, 40]), (-1, 0), (3, 0))
    assert np.array_equal(job.write(clip, (4, 4))[4], square_at(3))
    assert np.array_equal(job.write(clip, (4, 4), snap)[4], square_at(4))


@pytest.mark.parametrize("shares, label", [([0.4, 0.3], 1), ([0.2, 0.7], 2), ([0.2, 0.3], 0), ([0, 0], 0), ([0, 1], 2)])
def test_a_pixel_has_the_label_that_most_of_it_has(shares, label):
    drawn = carry.drawn(np.float32(shares)[:, None, None])
    assert (drawn.tolist(), drawn.dtype) == ([[label]], np.uint8)


def test_of_regions_that_overlap_the_one_in_front_is_seen():
    """As masks.draw paints them: from back to front."""
    behind, before = np.ones((6, 8)), np.zeros((6, 8))
    before[2:4, 3:5] = 1
    assert np.array_equal(carry.drawn(np.float32([behind, before])), 1 + before)
    assert np.array_equal(carry.drawn(np.float32([before, behind])), 2 * behind)


def test_a_pixel_that_no_region_has_half_of_is_still_drawn(clip, tmp_path):
    job = Job(tmp_path, dict.fromkeys((0, 2), labels_of({1: [10, 10, 9, 8], 2: [10, 20, 9, 8]})), regions=2)
    job.move(1, gap(0, 2, EVERYWHERE), (0, 0), (0, 0))
    found = job.write(clip, refine=lambda picture, shares: np.stack([0.4 * shares[0], 0.35 * shares[0]]))
    assert np.array_equal(found[1], labels_of({1: [10, 10, 9, 8]}))


# ---- known of every frame ----------------------------------------------------------------------------------------


def test_masks_that_are_known_are_written_as_the_tools_make_them(tmp_path):
    maps = {"000003": labels_of({1: [4, 4, 10, 10], 2: [30, 20, 10, 10]}), "000007": labels_of({2: [0, 0, 64, 48]})}
    for tools, more in ((Tools(), 0), (Tools(fill_holes=True), 0), (Tools(dilate=1), 40)):
        carry.copy(iter(maps.items()), str(tmp_path / "0000"), regions=2, tools=tools)
        found = written(tmp_path / "0000", 2)
        assert list(found) == [3, 7]
        assert [(found[3] == label).sum() for label in (1, 2)] == [100 + more] * 2
        assert found[7].min() == 2


def test_a_frame_without_a_has_no_file(tmp_path):
    maps = {"000001": labels_of({}), "000002": labels_of({1: [4, 4, 2, 2]}), "000003": labels_of({1: [4, 4, 3, 3]})}
    carry.copy(maps.items(), str(tmp_path / "0000"), regions=1, tools=Tools(least=9))
    assert list(written(tmp_path / "0000", 1)) == [3]


def test_without_known_masks_the_folder_is_empty(tmp_path):
    carry.copy((), str(tmp_path / "0000"), regions=1, tools=Tools())
    assert list((tmp_path / "0000").glob("*.png")) == []


def test_masks_of_a_users_video_are_those_of_its_frames(tmp_path):
    levels = np.uint8([0, 128, 255])
    maps = [labels_of({1: [2 * i, 4, 10, 10], 2: [30, 3 * i, 10, 10]}) for i in range(5)]
    given = write_clip(tmp_path / "masks.mkv", [levels[m] for m in maps], codec="ffv1", pix_fmt="gray")
    carry.copy(locate.from_video(str(given), ["000001", "000003"], 2), str(tmp_path / "0000"), regions=2, tools=Tools())
    found = written(tmp_path / "0000", 2)
    assert list(found) == [1, 3]
    assert all(np.array_equal(found[i], maps[i]) for i in (1, 3))


# ---- a video of all masks ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> tuple[Path, dict[int, np.ndarray]]:
    """Written for 7 frames with keyframes 1 and 4, others' masks in two folders; and what is in it, {frame: labels}."""
    folder, size = tmp_path_factory.mktemp("film"), (35, 21)
    maps = {i: labels_of({1: [i, 2, 10, 8], 2: [20, 2 * i, 9, 6], 3: [3, 15, 4, 4]}, size) for i in (1, 2, 4, 5)}
    paths = {i: folder / ("masks" if i in (1, 4) else f"000{i // 4}") / f"{i:06d}.png" for i in maps}
    for i, labels in maps.items():
        images.write_labels(paths[i], labels, 3)
    for block in ("0000", "0001"):
        seal(folder / block)
    target = folder / "video" / "a.mkv"
    carry.film(
        str(target),
        index={"stream": {"upright": list(size), "rate": [30000, 1001]}, "pts": [0, 1, 2, 3, 5, 6, 9]},
        regions=3,
        masks={f"{i:06d}": str(paths[i]) for i in (1, 4)},
        folders=[str(folder / "0000"), str(folder / "0001")],
    )
    assert [path.name for path in target.parent.iterdir()] == ["a.mkv"]
    return target, maps


def test_the_video_has_a_gray_frame_for_each_of_the_sources_in_its_upright_size(film):
    with av.open(str(film[0])) as container:
        (stream,) = container.streams
        frames = list(container.decode(stream))
        assert (stream.codec_context.name, stream.average_rate) == ("ffv1", Fraction(30000, 1001))
    assert [(f.width, f.height, f.format.name) for f in frames] == [(35, 21, "gray")] * 7
    assert [round(frame.time * 30000 / 1001) for frame in frames] == list(range(7))


def test_masks_of_keyframes_and_of_others_are_in_their_places_and_all_else_is_black(film):
    path, maps = film
    levels = np.uint8([0, 85, 170, 255])
    for i, frame in enumerate(decode(path)):
        expected = levels[maps[i]] if i in maps else np.zeros((21, 35))
        assert np.array_equal(frame.to_ndarray(format="gray"), expected)


def test_the_video_is_read_back_as_a_mask_video_with_the_same_labels(film):
    path, maps = film
    found = dict(locate.from_video(str(path), [f"{i:06d}" for i in range(7)], 3))
    assert list(found) == [f"{i:06d}" for i in range(7)]
    for i in range(7):
        assert np.array_equal(found[f"{i:06d}"], maps.get(i, np.zeros((21, 35))))


def test_a_mask_of_another_size_is_an_error_and_leaves_no_video(tmp_path):
    images.write_labels(tmp_path / "a.png", labels_of({}, (10, 10)), 1)
    with pytest.raises(UserError, match="a.png: is 10x10, but the upright video is 64x48"):
        carry.film(
            str(tmp_path / "video" / "a.mkv"),
            index={"stream": {"upright": SIZE, "rate": [25, 1]}, "pts": [0]},
            regions=1,
            masks={"000000": str(tmp_path / "a.png")},
            folders=[],
        )
    assert list((tmp_path / "video").iterdir()) == []
