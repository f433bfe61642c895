"""Which of the candidates is A: one instance for the whole clip, the same on every keyframe.

It is picked where that is clearest and followed from there in both directions, by its looks, and, within a shot, by
where the source's motion takes it. Where nothing looks like it there is no A; it is known by its looks when it is back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from networkx import Graph, max_weight_matching

from clevam import candidates, images
from clevam.candidates import Candidates, overlap
from clevam.errors import UserError
from clevam.files import write_json

SIDE = 320  # pixels of the longer side of a picture that is compared
BINS = 8  # of each of three colour channels
ALIKE = 0.7  # overlap of two candidates that are the same thing
SAME = 0.4, 0.2  # how alike what follows A must be, in place or in looks
FAINT = 1 / 3  # of the threshold: enough for what is where motion takes A and looks like it
SURELY = 0.25, 0.75  # how alike that must be, in place and in looks
PART = 0.5  # of the smaller of two masks in the other, from which on they are of one thing
UNKNOWN = 0.3  # how near it is where it was not on the keyframe beside
LEARNT = 0.2  # share of A's looks that a keyframe adds to what is known of them
RIVAL = 0.8  # of A's score: others that reach it make a choice doubtful
FAR, GROWN = 0.2, 2.0  # overlap with where A was expected, and factor of its area, that make it doubtful


@dataclass(frozen=True)
class Region:
    """An A: what the user calls it; what is looked for, if words tell it; which of several, config.Masks.pick; its
    label, 0 if it is only kept."""

    find: str
    phrase: str | None
    pick: str | int
    label: int


class Keyframe:
    """One keyframe's candidates, small, since those of a whole clip are in memory at once."""

    def __init__(self, picture: str | None, found: Candidates) -> None:
        self.picture, self.region, self.scores, self.boxes = picture, found.region, found.scores, found.boxes
        self.areas = found.masks.reshape(len(found.masks), found.masks[0].size if len(found.masks) else 0).sum(1)
        height, width = found.masks.shape[1:]
        factor = min(1.0, SIDE / max(height, width))
        self.size = max(1, round(width * factor)), max(1, round(height * factor))
        self._looks: dict[int, np.ndarray] = {}
        self.masks = [cv2.resize(np.uint8(255 * m), self.size, interpolation=cv2.INTER_AREA) for m in found.masks]

    @cached_property
    def small(self) -> np.ndarray:
        """The picture, uint8 RGB [h, w, 3]."""
        return cv2.resize(images.read_rgb(self.picture), self.size, interpolation=cv2.INTER_AREA)

    def of(self, region: int) -> list[int]:
        """The numbers of a region's candidates."""
        return np.flatnonzero(self.region == region).tolist()

    def mask(self, n: int) -> np.ndarray:
        """Candidate n at the small picture's size: float32 [h, w], 0..1."""
        return self.masks[n] / np.float32(255)

    @cached_property
    def lab(self) -> np.ndarray:
        return cv2.cvtColor(self.small, cv2.COLOR_RGB2LAB)

    def looks(self, n: int) -> np.ndarray:
        """The share of each colour in candidate n: float32 [BINS ** 3]."""
        if n not in self._looks:
            self._looks[n] = self._colours(n)
        return self._looks[n]

    def _colours(self, n: int) -> np.ndarray:
        counts = cv2.calcHist([self.lab], [0, 1, 2], np.uint8(self.mask(n) > 0.5), [BINS] * 3, [0, 256] * 3)
        counts = cv2.GaussianBlur(counts.reshape(BINS, -1), (3, 3), 0).ravel()
        return counts / max(counts.sum(), 1e-9)

    def flow_to(self, other: "Keyframe") -> np.ndarray:
        """Where each small pixel is seen in another keyframe: float32 [h, w, 2] to add to its place."""
        here, there = (cv2.cvtColor(each.small, cv2.COLOR_RGB2GRAY) for each in (self, other))
        return cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(here, there, None)


def choose(
    found: Mapping[str, str], pictures: Mapping[str, str], target: str, *, regions: Sequence[Region], threshold: float,
    segments: Sequence[Sequence[int]], painted: bool = False,
) -> None:  # fmt: skip
    """Write masks.json: which candidates are A on every keyframe, and what is doubtful about it.

    found: {keyframe: file of its candidates}; pictures: of keyframes, {} where nothing has to be told apart; threshold:
    the least score; segments: [first, last] frame of every shot; painted: there are masks by hand. Raises UserError if
    an A that is to be edited is on no keyframe, unless there are.
    """
    clip = Clip(found, pictures, threshold, segments)
    chosen = [clip.follow(number, region) for number, region in enumerate(regions)]
    for number, region in enumerate(regions):
        if region.phrase is not None and region.label and not chosen[number] and not painted:
            raise clip.not_found(number, region)
    told = [clip.describe(number, region, chosen[number]) for number, region in enumerate(regions)]
    entries = {name: [each[name] for each in told] for name in clip.keyframes}
    asked = [{"find": each.find, "words": each.phrase is not None, "label": each.label} for each in regions]
    write_json(target, {"regions": asked, "threshold": threshold, "keyframes": entries})


@dataclass(frozen=True)
class Choice:
    """The candidates that are A on a keyframe; expected: their overlap with where motion takes A, if that is known."""

    numbers: list[int]
    expected: float | None = None


@dataclass(frozen=True)
class Thing:
    """What was seen last on the keyframe `at`, as its candidate `number`, and what it has looked like so far."""

    at: str
    number: int
    looks: np.ndarray


class Clip:
    """The keyframes of a clip in their order."""

    def __init__(
        self,
        found: Mapping[str, str],
        pictures: Mapping[str, str],
        threshold: float,
        segments: Sequence[Sequence[int]],
    ) -> None:
        self.keyframes = {name: Keyframe(pictures.get(name), candidates.read(path)) for name, path in found.items()}
        self.names, self.threshold = list(found), threshold
        shot = {name: n for name in found for n, (first, last) in enumerate(segments) if first <= int(name) <= last}
        self.neighbours = {frozenset(pair) for pair in pairwise(self.names) if shot[pair[0]] == shot[pair[1]]}
        self.taken: dict[str, list[np.ndarray]] = {name: [] for name in found}
        self.flow = lru_cache(4)(lambda here, there: self.keyframes[here].flow_to(self.keyframes[there]))

    def not_found(self, number: int, region: Region) -> UserError:
        """What to say where a region is on no keyframe."""
        scores = {name: max(self.scores(name, number), default=0.0) for name in self.names}
        best = max(scores, key=scores.__getitem__)
        if scores[best] >= self.threshold:
            return UserError(
                f"find: {region.find!r}: something like it is there (score {scores[best]:.2f} on {best}), but not the "
                f"one that is meant ({region.pick}), or it is another region's; say it in other words, or change "
                "masks.pick"
            )
        return UserError(
            f"find: {region.find!r} is on none of {len(self.names)} keyframes; the best score is {scores[best]:.2f}, "
            f"on {best}, and masks.threshold is {self.threshold:g}: lower it, or say it in other words"
        )

    def describe(self, number: int, region: Region, chosen: dict[str, Choice]) -> dict[str, dict[str, Any]]:
        """What masks.json says of a region on every keyframe."""
        entries, before = {}, None
        for name in self.names:
            choice = chosen.get(name, Choice([]))
            entries[name] = self.entry(name, number, choice, region)
            if region.phrase is not None and before and choice.numbers and frozenset((before, name)) in self.neighbours:
                areas = sorted(entries[each]["area"] for each in (before, name))
                if areas[1] > GROWN * areas[0]:
                    entries[name]["alarms"].append("area")
            before = name if choice.numbers else None
        return entries

    def entry(self, name: str, number: int, choice: Choice, region: Region) -> dict[str, Any]:
        """What masks.json says of a region on one keyframe."""
        keyframe, alarms = self.keyframes[name], []
        if not choice.numbers:
            return {"chosen": [], "best": round(max(self.scores(name, number), default=0.0), 3), "alarms": alarms}
        surest, scores = max(choice.numbers, key=keyframe.scores.__getitem__), keyframe.scores
        if scores[surest] < self.threshold:
            alarms.append("faint")
        if region.pick == "best" and region.phrase is not None:
            rivals = [n for n in keyframe.of(number) if scores[n] >= max(self.threshold, RIVAL * scores[surest])]
            known = [keyframe.mask(surest), *self.taken[name]]
            if any(all(overlap(keyframe.mask(n), mask) < SAME[0] for mask in known) for n in rivals):
                alarms.append("several")
        if choice.expected is not None and choice.expected < FAR:
            alarms.append("jump")
        return {
            "chosen": choice.numbers,
            "box": [round(float(v), 1) for v in around(keyframe.boxes[choice.numbers])],
            "score": round(float(scores[surest]), 3),
            "area": int(keyframe.areas[choice.numbers].sum()),
            "alarms": alarms,
        }

    def scores(self, name: str, number: int) -> list[float]:
        keyframe = self.keyframes[name]
        return [float(keyframe.scores[n]) for n in keyframe.of(number)]

    def follow(self, number: int, region: Region) -> dict[str, Choice]:
        """The candidates of a region on every keyframe where it has any, but for those that earlier ones have."""
        sure = self.scored(number, self.threshold)
        if region.phrase is None or region.pick == "all":
            return {name: Choice(numbers) for name, numbers in sure.items() if numbers}
        free, faint = self.free(sure), self.free(self.scored(number, FAINT * self.threshold))
        # A number counts all of them, whoever has them.
        start = self.start(sure if isinstance(region.pick, int) else free, region.pick)
        chosen = self.followed(free, faint, start) if start else {}
        for name, choice in chosen.items():
            self.taken[name] += [self.keyframes[name].mask(n) for n in choice.numbers]
        return chosen

    def scored(self, number: int, least: float) -> dict[str, list[int]]:
        """A region's candidates on every keyframe, of this score at least."""
        return {
            name: [n for n in keyframe.of(number) if keyframe.scores[n] >= least]
            for name, keyframe in self.keyframes.items()
        }

    def free(self, numbers: dict[str, list[int]]) -> dict[str, list[int]]:
        """Those of the candidates that are no earlier region's."""
        return {
            name: [n for n in few if all(overlap(self.keyframes[name].mask(n), it) < ALIKE for it in self.taken[name])]
            for name, few in numbers.items()
        }

    def followed(
        self, sure: dict[str, list[int]], faint: dict[str, list[int]], start: tuple[str, int]
    ) -> dict[str, Choice]:
        """One of the sure candidates of each keyframe, such that all are the same thing as that of `start`; where none
        is, one of the faint ones that is surely it.

        The others are followed too: where A is hidden, what looks like it is another thing that was there before.
        """
        at, first = start
        chosen = {at: Choice([first])}
        middle = self.names.index(at)
        for way in (self.names[middle + 1 :], self.names[:middle][::-1]):
            things = [self.thing(at, n) for n in [first, *self.others(at, [first], sure[at])]]  # A is the first
            for name in way:
                matches = self.matches(things, name, sure[name])
                if 0 not in matches:
                    left = self.others(name, [n for n, _ in matches.values()], faint[name])
                    matches |= self.matches(things[:1], name, left, surely=True)
                for k, (n, near) in matches.items():
                    things[k] = self.thing(name, n, things[k])
                    if k == 0:
                        chosen[name] = Choice([n], near)
                new = self.others(name, [n for n, _ in matches.values()], sure[name])
                things += [self.thing(name, n) for n in new]
        return {name: chosen[name] for name in self.names if name in chosen}

    def others(self, name: str, known: list[int], numbers: list[int]) -> list[int]:
        """Those of a keyframe's candidates that are no part of a known one nor of each other: half of A is no other
        thing."""
        mask, kept = self.keyframes[name].mask, []
        for n in numbers:
            if all(within(mask(n), mask(other)) < PART for other in known + kept):
                kept.append(n)
        return kept

    def thing(self, name: str, n: int, before: "Thing | None" = None) -> "Thing":
        looks = self.keyframes[name].looks(n)
        return Thing(name, n, looks if before is None else (1 - LEARNT) * before.looks + LEARNT * looks)

    def matches(
        self, things: list["Thing"], name: str, numbers: list[int], surely: bool = False
    ) -> dict[int, tuple[int, float | None]]:
        """Of each of the things that is on a keyframe its candidate, and its overlap with where motion takes it, where
        that is known: the pairs that are the most alike in all. The likeliest pair alone may be wrong where two things
        cross that look nearly the same. surely: both in place and in looks."""
        graph, nears = Graph(), {}
        for k, thing in enumerate(things):
            where = self.expected(thing, name) if numbers else None
            for n in numbers:
                looks, mask = self.keyframes[name].looks(n), self.keyframes[name].mask(n)
                alike = 1 - cv2.compareHist(thing.looks, looks, cv2.HISTCMP_BHATTACHARYYA)
                nears[k, n] = near = None if where is None else overlap(mask, where)
                close = UNKNOWN if where is None else max(UNKNOWN, near, 0.5 * nearness(mask, where))
                if surely:
                    fits = (near or 0) >= SURELY[0] and alike >= SURELY[1]
                else:
                    fits = close >= SAME[0] or alike >= SAME[1]
                if fits:
                    likely = alike + close - 1e-6 * k  # of equals the first
                    graph.add_edge(("a thing", k), ("its candidate", n), weight=likely)
        pairs = [sorted(pair) for pair in max_weight_matching(graph)]
        return {k: (n, nears[k, n]) for (_, k), (_, n) in pairs}

    def expected(self, thing: "Thing", name: str) -> np.ndarray | None:
        """Where the source's motion takes a thing that was on the keyframe beside this one, float32 [h, w]."""
        if frozenset((name, thing.at)) not in self.neighbours:
            return None
        before = self.keyframes[thing.at]
        return warp(before.mask(thing.number), self.flow(name, thing.at))

    def start(self, sure: dict[str, list[int]], pick: str | int) -> tuple[str, int] | None:
        """Where A is clearest: the keyframe and the candidate from which it is followed."""
        if pick == "best":
            all_of_them = [(name, n) for name, numbers in sure.items() for n in numbers]
            return max(all_of_them, key=lambda one: self.keyframes[one[0]].scores[one[1]], default=None)
        # Where most of them are seen, there is no doubt which is the leftmost.
        name = max(sure, key=lambda name: len(sure[name]))
        enough = len(sure[name]) >= (abs(pick) if isinstance(pick, int) else 1)
        return (name, picked(self.keyframes[name], sure[name], pick)) if enough else None


def picked(keyframe: Keyframe, numbers: list[int], pick: str | int) -> int:
    """One of some candidates by its place, its size or its number from the left, below 0 from the right."""
    boxes, areas = keyframe.boxes, keyframe.areas
    middles = {n: ((boxes[n][0] + boxes[n][2]) / 2, (boxes[n][1] + boxes[n][3]) / 2) for n in numbers}
    if isinstance(pick, int):
        return sorted(numbers, key=lambda n: middles[n][0])[pick - (pick > 0)]
    order = {
        "leftmost": lambda n: middles[n][0],
        "rightmost": lambda n: -middles[n][0],
        "topmost": lambda n: middles[n][1],
        "lowest": lambda n: -middles[n][1],
        "largest": lambda n: -areas[n],
        "smallest": lambda n: areas[n],
    }[pick]
    return min(numbers, key=order)


def around(boxes: np.ndarray) -> np.ndarray:
    """The box around boxes [n, 4]."""
    return np.concatenate([boxes[:, :2].min(0), boxes[:, 2:].max(0)])


def within(a: np.ndarray, b: np.ndarray) -> float:
    """The share of the smaller of two masks that is in the other."""
    return float(np.minimum(a, b).sum() / max(min(a.sum(), b.sum()), 1e-9))


def nearness(a: np.ndarray, b: np.ndarray) -> float:
    """1 where two masks have their middles at one place, near 0 from their own size on."""
    if not a.any() or not b.any():
        return 0.0
    apart = np.array(middle(a)) - middle(b)
    return float(np.exp(-(apart @ apart) / max(a.sum(), 1.0)))


def middle(mask: np.ndarray) -> tuple[float, float]:
    """The centroid (x, y) of a mask [h, w] of shares."""
    rows, columns = mask.sum(1), mask.sum(0)
    return tuple(float(np.arange(len(sums)) @ sums / sums.sum()) for sums in (columns, rows))


def warp(mask: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """A mask [h, w] as it is seen from where flow [h, w, 2] leads to it; outside of the picture there is none."""
    height, width = mask.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return cv2.remap(mask, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
