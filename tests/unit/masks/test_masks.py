"""Label maps of the keyframes, from pictures, from a mask video, from boxes, or from words."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import clips
from clevam import candidates, identity, images, locate, masks
from clevam.candidates import Candidates
from clevam.detector import Detector
from clevam.errors import UserError
from clevam.files import read_json
from clevam.finder import Finder
from clevam.segmenter import Segmenter
from clevam.shapes import Tools
from conftest import noise
from zoo import cut, flipped

LEFT, RIGHT = np.s_[8:40, 4:28], np.s_[8:40, 36:60]


def index(width: int = 64, height: int = 48) -> dict:
    return {"stream": {"upright": [width, height]}}


def label_map(i: int = 0, regions: int = 1) -> np.ndarray:
    """Labels [48, 64]: region 1 on the left, one column further each frame, and the last region on the right."""
    labels = np.zeros((48, 64), np.uint8)
    labels[8:40, 4 + i : 28 + i] = 1
    if regions > 1:
        labels[RIGHT] = regions
    return labels


def levels(labels: np.ndarray, regions: int) -> np.ndarray:
    return np.rint(labels * (255 / regions)).astype(np.uint8)


def drawn(found: Path, labels: list[int]) -> dict[str, np.ndarray]:
    """The label maps of a folder of candidates where nothing has to be chosen, {name: labels}."""
    regions = {p.stem: candidates.read(p).region for p in sorted(found.glob("[!.]*"))}
    numbers = {name: [np.flatnonzero(each == r).tolist() for r in range(len(labels))] for name, each in regions.items()}
    masks.write(str(found), f"{found}.drawn", chosen=numbers, labels=labels, tools=Tools())
    return {p.stem: np.asarray(Image.open(p)) for p in sorted(Path(f"{found}.drawn").glob("[!.]*"))}


def from_files(folder: Path, files: list[Path], names: list[str], regions: int, known: dict | None = None) -> dict:
    """What becomes of files with so many regions, {name: labels}."""
    target, labels = folder / "out", list(range(1, regions + 1))
    locate.from_files([str(f) for f in files], str(target), index=known or index(), names=names, labels=labels)
    return drawn(target, labels)


# ---- from pictures ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("regions", [1, 3])
@pytest.mark.parametrize("scale", [lambda labels, regions: labels, levels], ids=["labels", "levels"])
def test_pictures_become_the_label_maps_of_their_frames(tmp_path, regions, scale):
    names, files = ["000003", "000012"], [tmp_path / "a.png", tmp_path / "b.png"]
    maps = [label_map(i, regions) for i in range(2)]
    for file, labels in zip(files, maps, strict=True):
        Image.fromarray(scale(labels, regions)).save(file)
    written = from_files(tmp_path, files, names, regions)
    assert list(written) == names
    assert all(np.array_equal(written[n], labels) for n, labels in zip(names, maps, strict=True))


def test_a_picture_of_another_size_is_an_error_and_leaves_nothing(tmp_path):
    Image.fromarray(label_map()).save(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"masks\.path: the mask of frame 3 is 64x48; make it 48x64"):
        from_files(tmp_path, [tmp_path / "a.png"], ["000003"], 1, index(48, 64))
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_a_picture_with_a_wrong_value_is_an_error_that_names_it(tmp_path):
    Image.fromarray(label_map() * 43).save(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"a\.png: holds other values than labels 0 to 3, or 4 even steps"):
        from_files(tmp_path, [tmp_path / "a.png"], ["000003"], 3)


# ---- from a mask video -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("regions", [1, 2, 3])
def test_a_lossless_mask_video_gives_exactly_its_labels(tmp_path, regions):
    maps = [label_map(i, regions) for i in range(8)]
    pictures = [levels(labels, regions) for labels in maps]
    video = clips.write_clip(tmp_path / "m.mkv", pictures, codec="ffv1", pix_fmt="gray", colorspace=2)
    written = from_files(tmp_path, [video], ["000002", "000007"], regions)
    assert list(written) == ["000002", "000007"]
    assert np.array_equal(written["000002"], maps[2])
    assert np.array_equal(written["000007"], maps[7])


@pytest.mark.parametrize("full_range", [False, True])
def test_a_lossy_mask_video_gives_the_labels_up_to_its_edges(tmp_path, full_range):
    maps = [label_map(i) for i in range(8)]
    pictures = [levels(labels, 1) for labels in maps]
    video = clips.write_clip(tmp_path / "m.mp4", pictures, crf="30", full_range=full_range)
    written = from_files(tmp_path, [video], ["000005"], 1)["000005"]
    assert set(np.unique(written)) == {0, 1}
    assert (written != maps[5]).sum() <= 0.02 * written.size


def test_a_limited_range_is_divided_half_way_between_its_own_black_and_white(tmp_path):
    planes = [np.full((48, 64), 16, np.uint8), *np.full((2, 24, 32), 128, np.uint8)]
    planes[0][LEFT], planes[0][RIGHT] = 126, 125  # the middle of 16 to 235 is 125.5
    video = clips.write_clip(tmp_path / "m.mp4", [planes], qp="0")
    assert np.array_equal(from_files(tmp_path, [video], ["000000"], 1)["000000"], label_map())


def test_a_rotated_mask_video_is_turned_upright(tmp_path):
    pictures = [levels(np.rot90(label_map(), -1), 1)] * 2
    video = clips.write_clip(tmp_path / "m.mp4", pictures, qp="0", rotation=90)
    assert np.array_equal(from_files(tmp_path, [video], ["000001"], 1)["000001"], label_map())


def test_a_mask_video_of_another_size_is_an_error(tmp_path):
    video = clips.write_clip(tmp_path / "m.mp4", clips.flat(clips.WHITE, 2, size=(32, 24)))
    with pytest.raises(UserError, match=r"masks\.path: the mask of frame 1 is 32x24; make it 64x48"):
        from_files(tmp_path, [video], ["000001"], 1)


def test_a_mask_video_that_ends_early_is_an_error_and_leaves_nothing(tmp_path):
    video = clips.write_clip(tmp_path / "m.mp4", clips.flat(clips.WHITE, 4))
    with pytest.raises(UserError, match=r"m\.mp4: ends at frame 3, but a mask of frame 9 is needed"):
        from_files(tmp_path, [video], ["000001", "000009"], 1)
    assert [p.name for p in tmp_path.iterdir()] == ["m.mp4"]


def test_a_mask_video_with_a_wrong_level_is_an_error_that_names_the_frame(tmp_path):
    pictures = [np.full((48, 64), level, np.uint8) for level in (0, 255, 64)]
    video = clips.write_clip(tmp_path / "m.mkv", pictures, codec="ffv1", pix_fmt="gray", colorspace=2)
    with pytest.raises(UserError, match=r"m\.mkv: frame 2: holds other values than labels 0 to 2, or 3 even steps"):
        from_files(tmp_path, [video], ["000002"], 2)


# ---- from boxes ------------------------------------------------------------------------------------------------


def numbered(regions: list) -> list[int]:
    return list(range(1, len(regions) + 1))


def from_boxes(folder: Path, boxes: list, names: list[str]) -> dict[str, np.ndarray]:
    locate.from_boxes(str(folder / "out"), index=index(10, 6), names=names, boxes=boxes)
    return drawn(folder / "out", numbered(boxes))


def test_a_fixed_box_is_filled_on_every_keyframe(tmp_path):
    written = from_boxes(tmp_path, [[2, 1, 5, 4]], ["000000", "000007"])
    expected = np.zeros((6, 10), np.uint8)
    expected[1:4, 2:5] = 1
    assert list(written) == ["000000", "000007"]
    assert all(np.array_equal(labels, expected) for labels in written.values())


def test_a_later_region_lies_on_top(tmp_path):
    written = from_boxes(tmp_path, [[0, 0, 6, 2], [4, 0, 8, 1]], ["000000"])["000000"]
    assert written[:3].tolist() == [[1, 1, 1, 1, 2, 2, 2, 2, 0, 0], [1] * 6 + [0] * 4, [0] * 10]


def test_a_box_is_cut_at_the_edge_of_the_picture(tmp_path):
    written = from_boxes(tmp_path, [[-3, 4, 2, 99]], ["000000"])["000000"]
    assert np.argwhere(written).tolist() == [[4, 0], [4, 1], [5, 0], [5, 1]]


def test_a_region_without_a_box_is_the_whole_frame_and_one_with_label_0_is_kept(tmp_path):
    locate.from_boxes(str(tmp_path / "out"), index=index(10, 6), names=["000000"], boxes=[None, [2, 1, 5, 4]])
    kept = np.ones((6, 10), np.uint8)
    kept[1:4, 2:5] = 0
    assert np.array_equal(drawn(tmp_path / "out", [1, 0])["000000"], kept)


def test_a_box_that_has_left_the_picture_leaves_the_mask_empty(tmp_path):
    assert not from_boxes(tmp_path, [{0: [-9, -9, -2, -2]}], ["000000"])["000000"].any()


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (0, [0, 0, 4, 4]),
        (10, [0, 0, 4, 4]),
        (15, [5, 1, 9, 6]),
        (20, [10, 2, 14, 8]),
        (25, [10, 2, 24, 8]),
        (30, [10, 2, 34, 8]),
        (99, [10, 2, 34, 8]),
    ],
)
def test_boxes_move_in_straight_lines_between_frames_and_rest_beyond(frame, expected):
    boxes = {"20": [10, 2, 14, 8], "10": [0, 0, 4, 4], "30": [10, 2, 34, 8]}
    assert locate.box_at(boxes, frame) == expected


def test_a_moving_box_is_drawn_where_it_is_at_each_keyframe(tmp_path):
    written = from_boxes(tmp_path, [{"0": [0, 0, 2, 1], "8": [8, 0, 10, 1]}], ["000000", "000004", "000008"])
    assert [np.flatnonzero(labels[0]).tolist() for labels in written.values()] == [[0, 1], [4, 5], [8, 9]]


def test_a_box_beside_the_picture_is_an_error(tmp_path):
    with pytest.raises(UserError, match=r"box \[600, 0, 700, 9\] lies outside of the upright picture, 64x48"):
        locate.from_boxes(str(tmp_path / "m"), index=index(), names=["000000"], boxes=[[600, 0, 700, 9]])


# ---- from words ------------------------------------------------------------------------------------------------


class FakeDetector:
    """Finds what the test says, whatever it is shown: boxes on the left and on the right, and a score for each."""

    SCORES: dict[str, list[float]] = {}
    BOXES = ([4.0, 8, 28, 40], [20, 8, 60, 40])

    def __init__(self, *args: object) -> None:
        self.loaded = args

    def __call__(self, picture: np.ndarray, phrases: list[str]) -> tuple:
        return torch.tensor(self.BOXES), torch.tensor([self.SCORES[phrase] for phrase in phrases])


class FakeSegmenter:
    """Fills the boxes."""

    def __init__(self, *args: object) -> None:
        self.loaded = args

    def __call__(self, picture: np.ndarray, boxes: list[list[float]]) -> np.ndarray:
        masks = np.zeros((len(boxes), *picture.shape[:2]), bool)
        for mask, (x0, y0, x1, y1) in zip(masks, boxes, strict=True):
            mask[int(y0) : int(y1), int(x0) : int(x1)] = True
        return masks


@pytest.fixture
def fakes(monkeypatch):
    monkeypatch.setattr("clevam.finder.Detector", FakeDetector)
    monkeypatch.setattr("clevam.finder.Segmenter", FakeSegmenter)


def from_words(
    folder: Path, phrases: list, threshold: float = 0.5, models: list[str] | None = None, labels: list | None = None
) -> dict:
    """What becomes of words in the pictures <name>.png of a folder, {name: labels}."""
    pictures = {p.stem: str(p) for p in sorted(folder.glob("*.png"))}
    labels, found = labels or numbered(phrases), folder / "out"
    find = Finder(models or ["w", "c", "t", "s"], "cpu")
    candidates.write_all(str(found), (64, 48), candidates.search(pictures, phrases, find))
    regions = [identity.Region(str(each), each, "best", label) for each, label in zip(phrases, labels, strict=True)]
    files = {name: str(found / f"{name}.npz") for name in pictures}
    options = {"regions": regions, "threshold": threshold, "segments": [[0, 99]]}
    identity.choose(files, pictures, str(folder / "masks.json"), **options)
    told = read_json(folder / "masks.json")["keyframes"]
    chosen = {name: [entry["chosen"] for entry in entries] for name, entries in told.items()}
    masks.write(str(found), str(folder / "drawn"), chosen=chosen, labels=labels, tools=Tools())
    return {p.stem: np.asarray(Image.open(p)) for p in sorted((folder / "drawn").glob("[!.]*"))}


def write_pictures(folder: Path, *names: str) -> None:
    for seed, name in enumerate(names):
        images.write_png(folder / f"{name}.png", noise(48, 64, seed))


def expected(*labels_and_columns: tuple[int, int, int]) -> np.ndarray:
    """Labels [48, 64]: each label in the rows 8 to 39 of its columns."""
    result = np.zeros((48, 64), np.uint8)
    for label, x0, x1 in labels_and_columns:
        result[8:40, x0:x1] = label
    return result


@pytest.mark.parametrize(
    ("scores", "labels"),
    [
        ({"a": [0.9, 0.1]}, [(1, 4, 28)]),
        ({"a": [0.4, 0.5]}, [(1, 20, 60)]),
        ({"a": [0.5, 0.1]}, [(1, 4, 28)]),
        ({"a": [0.9, 0.1], "b": [0.1, 0.9]}, [(1, 4, 28), (2, 20, 60)]),
        ({"a": [0.1, 0.9], "b": [0.9, 0.1]}, [(1, 20, 60), (2, 4, 28)]),
        ({"a": [0.9, 0.6], "b": [0.9, 0.6]}, [(1, 4, 28), (2, 20, 60)]),
    ],
    ids=str,
)
def test_the_best_box_of_every_phrase_that_is_sure_enough_is_filled_later_ones_in_front(
    tmp_path, fakes, monkeypatch, scores, labels
):
    monkeypatch.setattr(FakeDetector, "SCORES", scores)
    write_pictures(tmp_path, "000003")
    assert np.array_equal(from_words(tmp_path, list(scores))["000003"], expected(*labels))


def test_the_whole_frame_is_behind_what_is_found_and_what_is_kept_shows_through(tmp_path, fakes, monkeypatch):
    monkeypatch.setattr(FakeDetector, "SCORES", {"a": [0.9, 0.1], "b": [0.1, 0.9]})
    write_pictures(tmp_path, "000003")
    written = from_words(tmp_path, [None, "a", "b"], labels=[1, 0, 2])["000003"]
    assert np.array_equal(written, np.where(expected((1, 4, 20)) > 0, 0, np.where(expected((1, 20, 60)) > 0, 2, 1)))


def test_the_likeliest_boxes_of_a_phrase_are_candidates_and_of_two_around_one_thing_the_likelier(fakes, monkeypatch):
    monkeypatch.setattr(FakeDetector, "SCORES", {"a": [0.2, 0.9], "b": [0.01, 0.02], "c": [0.04, 0.3]})
    found = Finder(["w", "c", "t", "s"], "cpu")(noise(48, 64), ["a", "b", "c"])
    assert found.region.tolist() == [0, 0, 1, 2]  # of b the best, though it scores next to nothing
    assert found.scores.tolist() == pytest.approx([0.9, 0.2, 0.02, 0.3])
    assert found.boxes[0].tolist() == [20, 8, 60, 40]
    monkeypatch.setattr(FakeDetector, "BOXES", [[4.0, 8, 28, 40], [4, 8, 30, 40]])
    assert Finder(["w", "c", "t", "s"], "cpu")(noise(48, 64), ["a"]).scores.tolist() == pytest.approx([0.9])


def test_candidates_are_read_as_they_were_written(tmp_path):
    drawn_ = label_map(0, 2)
    found = Candidates.certain({0: drawn_ == 1, 2: drawn_ == 2}, drawn_.shape)
    candidates.write(tmp_path / "000003.npz", found)
    again = candidates.read(tmp_path / "000003.npz")
    assert all(np.array_equal(getattr(found, key), getattr(again, key)) for key in candidates.KEYS)
    assert again.boxes.tolist() == [[4, 8, 28, 40], [36, 8, 60, 40]]
    assert again.of(2).tolist() == [1]


@pytest.mark.parametrize("damage", ["missing", "cut", "text", "pickle"])
def test_damaged_candidates_are_named_with_the_cure(tmp_path, damage):
    path = tmp_path / "0000" / "000003.npz"
    path.parent.mkdir()
    candidates.write(path, Candidates.certain({0: label_map() > 0}, (48, 64)))
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:100])
    elif damage == "text":
        path.write_text("no candidates")
    else:
        np.savez(path, region=np.array([{}], object))
    with pytest.raises(
        UserError, match=r"0000/000003\.npz: missing or damaged; delete the folder .*0000 and run again"
    ):
        candidates.read(path)


@pytest.fixture(scope="module")
def models(finders) -> list[str]:
    names = ("grounding/weights.pth", "grounding/config.json", "grounding/text", "segmentation/weights.pth")
    return [str(finders / name) for name in names]


def test_words_go_through_both_networks_to_candidates_on_every_keyframe(tmp_path, models):
    write_pictures(tmp_path, "000003", "000012")
    written = from_words(tmp_path, ["a dog", "the cat"], threshold=0, models=models)
    detect, segment = Detector(*models[:3], torch.device("cpu")), Segmenter(models[3], torch.device("cpu"))
    assert list(written) == ["000003", "000012"]
    for seed, (name, labels) in enumerate(written.items()):
        boxes, scores = detect(noise(48, 64, seed), ["a dog", "the cat"])
        found = candidates.read(tmp_path / "out" / f"{name}.npz")
        surest = [found.of(region)[0] for region in (0, 1)]
        assert np.array_equal(found.masks[surest], segment(noise(48, 64, seed), boxes[scores.argmax(1)].tolist()))
        assert 0.05 < (labels > 0).mean() < 0.95


@pytest.mark.parametrize(
    ("harm", "error"),
    [
        (lambda path: path.unlink(), r"000012\.png: no such picture"),
        (lambda path: path.write_bytes(path.read_bytes()[:200]), r"000012\.png: not a picture that can be read"),
        (lambda path: images.write_png(path, noise(20, 20)), "the mask of frame 12 is 20x20; make it 64x48"),
    ],
    ids=["missing", "damaged", "of another size"],
)
def test_an_error_at_a_later_keyframe_leaves_no_folder(tmp_path, fakes, monkeypatch, harm, error):
    monkeypatch.setattr(FakeDetector, "SCORES", {"a": [0.9, 0.1]})
    write_pictures(tmp_path, "000003", "000012")
    harm(tmp_path / "000012.png")
    pictures = {name: str(tmp_path / f"{name}.png") for name in ("000003", "000012")}
    with pytest.raises(UserError, match=error):
        found = candidates.search(pictures, ["a"], Finder(["w", "c", "t", "s"], "cpu"))
        candidates.write_all(str(tmp_path / "out"), (64, 48), found)
    assert [p.name for p in tmp_path.glob("[!.]*") if p.suffix != ".png"] == []


def test_a_model_that_cannot_be_loaded_leaves_no_folder(tmp_path, models):
    write_pictures(tmp_path, "000003")
    with pytest.raises(UserError, match=r"^models\.segmenter: there is no file .*/none\.pth$"):
        from_words(tmp_path, ["a"], models=[*models[:3], str(tmp_path / "none.pth")])
    assert [p.name for p in tmp_path.glob("[!.]*")] == ["000003.png"]


def test_other_ways_to_a_mask_do_not_wait_for_torch():
    code = "import sys; from clevam import candidates, locate; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_wrong_bits_in_candidates_are_noticed(tmp_path):
    rng = np.random.default_rng(0)
    found = candidates.Candidates.certain({0: rng.random((24, 32)) < 0.5, 1: rng.random((24, 32)) < 0.5}, (24, 32))
    candidates.write(tmp_path / "a.npz", found)
    whole, refused = (tmp_path / "a.npz").read_bytes(), 0
    for data in (*flipped(whole, 200, seed=7), *cut(whole, 20)):
        (tmp_path / "a.npz").write_bytes(data)
        try:
            again = candidates.read(tmp_path / "a.npz")
            assert all(np.array_equal(getattr(again, key), getattr(found, key)) for key in candidates.KEYS)
        except UserError:
            refused += 1
    assert refused > 150


def test_candidates_with_code_in_them_are_refused_and_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return open, (str(tmp_path / "sprung"), "w")

    trap = np.array([Trap()])
    np.savez(tmp_path / "a.npz", **dict.fromkeys((*candidates.KEYS, "size"), trap))
    with pytest.raises(UserError, match=r"a\.npz: missing or damaged; delete the folder"):
        candidates.read(tmp_path / "a.npz")
    assert not (tmp_path / "sprung").exists()
