"""Which candidate is A, keyframe by keyframe."""

from pathlib import Path

import numpy as np
import pytest

from clevam import candidates, doubts, identity, images
from clevam.candidates import Candidates, box_of
from clevam.errors import UserError
from clevam.files import read_json
from clevam.identity import Region

SIZE = (48, 96)
RED, RUST, BLUE, GREEN = (200, 30, 30), (220, 80, 40), (30, 60, 200), (30, 160, 40)
DOG = Region("the dog", "the dog", "best", 1)


def square(x: int, y: int = 16, side: int = 16) -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[y : y + side, x : x + side] = True
    return mask


class Film:
    """Keyframes 0, 12, 24, ... of squares, [(x, colour, score), ...] each, all of which may be the first region."""

    def __init__(self, folder: Path, *frames: list[tuple], sides: dict | None = None) -> None:
        self.folder, self.names, self.masks = folder, [f"{12 * n:06d}" for n in range(len(frames))], []
        ground = np.random.default_rng(0).integers(90, 160, (*SIZE, 1)).astype(np.uint8).repeat(3, 2)
        for name, things in zip(self.names, frames, strict=True):
            picture = ground.copy()
            masks = [square(x, side=(sides or {}).get(colour, 16)) for x, colour, _ in things]
            for mask, (_, colour, _) in zip(masks, things, strict=True):
                picture[mask] = colour
            images.write_png(folder / f"{name}.png", picture)
            boxes = np.array([box_of(mask) for mask in masks], np.float32).reshape(-1, 4)
            scores = np.array([score for *_, score in things], np.float32)
            regions = np.zeros(len(things), np.int64)
            found = Candidates(regions, scores, boxes, np.array(masks, bool).reshape(-1, *SIZE))
            candidates.write(folder / f"{name}.npz", found)
            self.masks.append(masks)

    def choose(self, *regions: Region, threshold: float = 0.3, segments: list | None = None, painted=False) -> dict:
        paths = ({name: str(self.folder / f"{name}.{end}") for name in self.names} for end in ("npz", "png"))
        options = {"regions": regions or [DOG], "threshold": threshold, "segments": segments or [[0, 9999]]}
        options["painted"] = painted
        identity.choose(*paths, str(self.folder / "masks.json"), **options)
        return read_json(self.folder / "masks.json")

    def chosen(self, *regions: Region, **options) -> list[list[int]]:
        told = self.choose(*regions, **options)["keyframes"]
        return [told[name][0]["chosen"] for name in self.names]


def test_the_surest_is_followed_though_another_scores_more_elsewhere(tmp_path):
    film = Film(
        tmp_path,
        [(8, RED, 0.5), (64, BLUE, 0.4)],
        [(12, RED, 0.9), (60, BLUE, 0.8)],
        [(56, BLUE, 0.85), (16, RED, 0.4)],
    )
    assert film.chosen() == [[0], [0], [1]]


def test_what_looks_the_same_is_told_apart_by_where_motion_takes_it(tmp_path):
    film = Film(
        tmp_path,
        [(4, RED, 0.9), (64, RED, 0.5)],
        [(60, RED, 0.8), (8, RED, 0.5)],
        [(12, RED, 0.5), (56, RED, 0.8)],
    )
    assert film.chosen() == [[0], [1], [0]]


def test_two_that_cross_are_told_apart_by_what_fits_both(tmp_path):
    """The other one stands where the red one stood and is a little like it, but then the red one would be nowhere."""
    film = Film(tmp_path, [(20, RED, 0.9), (44, RUST, 0.8)], [(70, RED, 0.8), (18, RUST, 0.8)])
    assert film.chosen() == [[0], [0]]


def test_it_is_gone_where_only_what_was_beside_it_is_left_and_the_same_when_it_is_back(tmp_path):
    twins = [(4, RED, 0.9), (64, RED, 0.8)]
    film = Film(tmp_path, twins, [(64, RED, 0.8)], [(64, RED, 0.8)], [(60, RED, 0.8), (6, RED, 0.8)])
    assert film.chosen() == [[0], [], [], [1]]


def test_it_is_known_again_behind_a_cut(tmp_path):
    film = Film(tmp_path, [(4, RED, 0.9), (64, BLUE, 0.5)], [(4, BLUE, 0.9), (64, RED, 0.8)])
    assert film.chosen(segments=[[0, 11], [12, 99]]) == [[0], [1]]


def test_what_is_not_sure_enough_is_not_there(tmp_path):
    film = Film(tmp_path, [(4, RED, 0.9)], [(60, RED, 0.29)], [(4, RED, 0.3)])
    assert film.chosen() == [[0], [], [0]]
    assert film.chosen(threshold=0.2) == [[0], [0], [0]]


@pytest.mark.parametrize(
    ("x", "colour", "score", "there"),
    [(6, RED, 0.12, True), (6, RED, 0.08, False), (6, BLUE, 0.12, False), (60, RED, 0.12, False)],
)
def test_less_is_enough_where_motion_takes_it_if_it_looks_the_same(tmp_path, x, colour, score, there):
    film = Film(tmp_path, [(4, RED, 0.9)], [(x, colour, score)], [(8, RED, 0.9)])
    assert film.chosen() == [[0], [0] if there else [], [0]]
    assert film.choose()["keyframes"]["000012"][0]["alarms"] == (["faint"] if there else [])


def test_a_part_of_it_is_no_other_thing(tmp_path):
    """It is red and blue, and its blue half is found once more. When it is back, it shows its blue side."""
    film = Film(tmp_path, [(4, RED, 0.9), (12, BLUE, 0.4)], [], [(60, BLUE, 0.9)])
    found = candidates.read(tmp_path / "000000.npz")
    found.masks[0] |= found.masks[1]
    candidates.write(tmp_path / "000000.npz", found)
    assert film.chosen() == [[0], [], [0]]


@pytest.mark.parametrize(
    ("pick", "numbers"),
    [
        ("leftmost", [1, 0]),
        ("rightmost", [2, 1]),
        ("largest", [2, 1]),
        ("smallest", [0, 2]),
        ("topmost", [0, 2]),
        (1, [1, 0]),
        (2, [0, 2]),
        (3, [2, 1]),
        (-1, [2, 1]),
        (-3, [1, 0]),
    ],
)
def test_one_of_several_is_picked_where_most_are_seen_and_followed(tmp_path, pick, numbers):
    """On the second keyframe the blue one is no longer between the others."""
    film = Film(
        tmp_path,
        [(36, BLUE, 0.5), (4, RED, 0.4), (70, GREEN, 0.6)],
        [(4, RED, 0.4), (60, GREEN, 0.6), (80, BLUE, 0.5)],
        sides={GREEN: 20, BLUE: 12},
    )
    assert film.chosen(Region("the dog", "the dog", pick, 1)) == [[n] for n in numbers]


@pytest.mark.parametrize(("pick", "numbers"), [("leftmost", [[], [1]]), (2, [[0], [0]]), (-2, [[], [1]])])
def test_a_place_or_a_number_is_that_where_most_of_them_are(tmp_path, pick, numbers):
    film = Film(tmp_path, [(62, BLUE, 0.9)], [(60, BLUE, 0.5), (6, RED, 0.9)])
    assert film.chosen(Region("the dog", "the dog", pick, 1)) == numbers


def test_a_number_counts_what_other_regions_have_too(tmp_path):
    film = Film(tmp_path, [(4, RED, 0.9), (36, BLUE, 0.9), (70, GREEN, 0.9)])
    found = candidates.read(tmp_path / "000000.npz")
    twice = found + found.renamed(0, 1)
    candidates.write(tmp_path / "000000.npz", twice)
    told = film.choose(*(Region("", "the dog", n, n) for n in (1, 2)))["keyframes"]["000000"]
    assert [entry["chosen"] for entry in told] == [[0], [4]]


def test_what_a_number_means_stays_that_though_another_region_has_it(tmp_path):
    film = Film(tmp_path, *[[(4, RED, 0.9), (60, BLUE, 0.9)]] * 2)
    for name in film.names:
        found = candidates.read(tmp_path / f"{name}.npz")
        candidates.write(tmp_path / f"{name}.npz", found + found.renamed(0, 1))
    told = film.choose(*(Region("", "the dog", 1, label) for label in (1, 2)))["keyframes"]
    assert [told[name][1]["chosen"] for name in film.names] == [[2], []]  # it is followed, and taken, and no other one


def test_a_fast_thing_is_not_lost_to_one_that_is_gone(tmp_path):
    brown = (150, 60, 30)
    film = Film(tmp_path, [(4, RED, 0.9), (70, brown, 0.5)], [(8, RED, 0.9)], [(60, RED, 0.9)], [(64, RED, 0.9)])
    assert film.chosen() == [[0]] * 4


def test_all_are_taken_if_all_are_meant(tmp_path):
    film = Film(tmp_path, [(4, RED, 0.9), (64, BLUE, 0.4)], [(4, RED, 0.2)], [(4, RED, 0.9)])
    assert film.chosen(Region("the dog", "the dog", "all", 1)) == [[0, 1], [], [0]]


def test_two_regions_are_never_the_same_thing(tmp_path):
    film = Film(tmp_path, [(4, RED, 0.9), (64, BLUE, 0.8)], [(4, RED, 0.9), (64, BLUE, 0.8)])
    for name in film.names:
        found = candidates.read(tmp_path / f"{name}.npz")
        both = Candidates(*(np.concatenate([getattr(found, key)] * 2) for key in candidates.KEYS))
        both.region[2:] = 1
        candidates.write(tmp_path / f"{name}.npz", both)
    told = film.choose(DOG, Region("the cat", "the cat", "best", 2))["keyframes"]
    assert [[entry["chosen"] for entry in told[name]] for name in film.names] == [[[0], [3]], [[0], [3]]]


def test_nothing_at_all_is_an_error_that_says_what_was_looked_for(tmp_path):
    film = Film(tmp_path, [(4, RED, 0.1)], [(6, RED, 0.22)], [])
    with pytest.raises(UserError, match=r"'the dog' is on none of 3 keyframes; the best score is 0\.22, on 0"):
        film.choose()
    assert not (tmp_path / "masks.json").exists()


def test_masks_by_hand_or_a_region_that_is_only_kept_need_not_be_found(tmp_path):
    film = Film(tmp_path, [(4, RED, 0.1)])
    assert film.chosen(Region("the dog", "the dog", "best", 0)) == [[]]
    assert film.chosen(painted=True) == [[]]


def test_too_few_of_them_is_an_error_that_says_so(tmp_path):
    film = Film(tmp_path, [(4, RED, 0.9), (40, BLUE, 0.9)])
    with pytest.raises(
        UserError, match=r"'the third dog': something like it is there \(score 0\.90 on 000000\), but not"
    ):
        film.choose(Region("the third dog", "the dog", 3, 1))


def test_what_is_told_of_a_keyframe(tmp_path):
    entry = Film(tmp_path, [(4, RED, 0.9)]).choose()["keyframes"]["000000"][0]
    assert entry == {"chosen": [0], "box": [4, 16, 20, 32], "score": 0.9, "area": 256, "alarms": []}


@pytest.mark.parametrize(
    ("frames", "alarms"),
    [
        ([[(4, RED, 0.9)], [(6, RED, 0.9)]], [[], []]),
        ([[(4, RED, 0.9), (60, BLUE, 0.85)], [(6, RED, 0.9), (60, BLUE, 0.5)]], [["several"], []]),
        ([[(4, RED, 0.9)], [(78, RED, 0.9)]], [[], ["jump"]]),
    ],
)
def test_what_is_doubtful_raises_an_alarm(tmp_path, frames, alarms):
    told = Film(tmp_path, *frames).choose()["keyframes"]
    assert [entries[0]["alarms"] for entries in told.values()] == alarms


def test_an_area_that_jumps_raises_an_alarm(tmp_path):
    film = Film(tmp_path, [(8, RED, 0.9)], [(8, RED, 0.9)])
    small = candidates.read(tmp_path / "000012.npz")
    small.masks[:] = square(8, side=10)
    candidates.write(tmp_path / "000012.npz", small)
    told = film.choose()["keyframes"]
    assert [entries[0]["alarms"] for entries in told.values()] == [[], ["area"]]


def test_doubts_are_told_in_one_line_each(tmp_path):
    film = Film(tmp_path, [(4, RED, 0.9), (60, BLUE, 0.88)], [(60, RED, 0.12)], [(8, RED, 0.9)])
    missing, doubtful = doubts.doubts(film.choose(), "ball")
    assert missing.startswith(
        "ball: 'the dog' is not on 000012 of 3 keyframes, which stay as they are (best score there"
    )
    assert "0.12, masks.threshold 0.3)" in missing
    assert doubtful == "ball: 'the dog' is doubtful on 000000 (several): look at masks/ball"
    assert doubts.listed(list("abcdefg")) == "a, b, c, d, e and 2 more"


def test_masks_from_files_and_boxes_leave_no_doubt(tmp_path):
    film = Film(tmp_path, [(4, RED, 1.0)], [(4, RED, 1.0)], [])
    large = Candidates.certain({0: square(4, side=30)}, SIZE)  # it may grow as it likes
    candidates.write(tmp_path / "000012.npz", large)
    told = film.choose(Region("the dog", None, "all", 1), threshold=0)
    assert doubts.doubts(told, "ball") == []
    assert [entries[0]["chosen"] for entries in told["keyframes"].values()] == [[0], [0], []]
