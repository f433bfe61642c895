"""Motion of the original video: from every frame to its neighbouring keyframes.

One file per frame, <idx>.npy.gz, holds two arrays, one after the other, as numpy.save writes them. The first is int16
[K, h, w, 2]: for each of the K neighbours, the keyframe before and, if there is one, that after, the displacement of
every second pixel of the motion box in units of 1/UNIT pixel, in (x, y) order. The surface point seen at p in this
frame is seen at p + displacement in the keyframe. The second, uint8 [K, h, w], is 255 where forward and backward flow
agree and both ends look the same, and 0 where they do not.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from io import BytesIO
from itertools import chain, pairwise
from pathlib import Path

import cv2
import numpy as np
from isal import igzip
from tqdm import tqdm

from clevam import video
from clevam.errors import UserError
from clevam.files import replacing
from clevam.geometry import Box, cut
from clevam.orientation import upright

UNIT = 32
STEP = 2  # pixels between stored displacements
AGREEMENT = 1.0  # samples of forward-backward disagreement at which a displacement is half sure
LEAST = 1e-3  # certainty of what is not sure at all: where neither keyframe is, the nearer counts
LIKENESS = 5.0  # grey levels of difference between both ends at which it is

SEEK = 250  # frames from which on a gap is sought over, not decoded: about as far apart as a decoder may begin
SUFFIX = ".npy.gz"

# The finest detail that is followed (0: every sample), and the samples between patches
_PRESETS = {"ultrafast": (1, 5), "fast": (1, 4), "medium": (0, 6)}


class Dis:
    """Dense inverse search (Kroeger et al., ECCV 2016), on brightness."""

    look = staticmethod(video.luma8)
    step = STEP

    def __init__(self, preset: str) -> None:
        # Two, since OpenCV 5.0 crashes where one is asked with a guess and then without, in another size.
        self.near = _search(0, 6)  # in full detail: a small error of a step grows along the chain
        self.far = _search(*_PRESETS[preset])

    def __call__(self, here: np.ndarray, there: np.ndarray, guess: np.ndarray | None = None) -> np.ndarray:
        """Flow float32 [H, W, 2] from `here` to `there`, both uint8 [H, W]; guess: where the search begins."""
        height, width = here.shape
        # It needs room for its coarsest patches; small crops are padded, not refused.
        room = [0, 0, max(width, 64), max(height, 64)]
        pair = cut(here, room, "edge"), cut(there, room, "edge")
        # The guess is overwritten.
        flow = self.near.calc(*pair, None) if guess is None else self.far.calc(*pair, cut(guess, room, "edge").copy())
        return flow[:height, :width]


def _search(finest: int, stride: int) -> cv2.DISOpticalFlow:
    """Without what smooths motion afterwards: it ends where things do, and half of the time was spent there."""
    search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    search.setFinestScale(finest)
    search.setPatchStride(stride)
    search.setUseMeanNormalization(False)  # it loses faint detail: up to 1.3 dB on real clips
    return search


def measure(path: str, target: str, *, index: dict, motion: list, frames: list[int], method: Callable) -> None:
    """Write the flow of the frames [first, last] of a block that are no keyframes into `target`.

    motion: [keyframes, frames, box] per gap (plan.json); those without a box have nothing to carry.
    method: a Dis or a Raft; its `look` says what it sees of a frame, its `step` how many pixels apart.
    """
    inside = [range(max(first, frames[0]), min(last, frames[1]) + 1) for _, (first, last), _ in motion]
    gaps = [(keys, numbers, box) for (keys, _, box), numbers in zip(motion, inside, strict=True) if box and numbers]
    with replacing(target) as folder:
        folder.mkdir()
        found = zip(gaps, _pictures(path, index, gaps, method), strict=True)
        for (keys, numbers, _), pictures in tqdm(found, total=len(gaps), desc="flow", unit="gap"):
            ways = (between if len(keys) == 2 else after)(pictures, method)
            for i, *each in zip(numbers, *ways, strict=True):
                write(folder / f"{i:06d}{SUFFIX}", *each, step=method.step)


Gap = tuple[Sequence[int], Sequence[int], Box]  # keyframes, frames and the upright box around A


def _pictures(path: str, index: dict, gaps: Sequence[Gap], method: Callable) -> Iterator[list[np.ndarray]]:
    """For each gap what the method sees of its keyframes and frames inside its box, in order; a gap at a time."""
    due = [sorted({*keys, *inside}) for keys, inside, _ in gaps]
    seen, shared = _seen(path, index, sorted(set().union(*due)), method), []
    for numbers, (_, _, box) in zip(due, gaps, strict=True):
        pictures = []
        for i, picture in chain(shared, seen):
            if i in numbers:
                pictures.append(thinned(cut(picture, box), method.step))
            if i == numbers[-1]:
                shared = [(i, picture)]  # the next gap may begin with the keyframe that ends this one
                break
        yield pictures


def _seen(path: str, index: dict, wanted: Sequence[int], method: Callable) -> Iterator[tuple[int, np.ndarray]]:
    """(frame number, what the method sees of it, upright) of the wanted frames, which are in order."""
    facts, due = index["stream"], set(wanted)
    jumps = [n for n, (a, b) in enumerate(pairwise(wanted), 1) if b - a > SEEK]
    for start, end in pairwise([0, *jumps, len(wanted)]):
        for i, frame in video.frames(path, wanted[start], wanted[end - 1], index):
            if i in due:
                yield i, upright(method.look(frame, facts), facts)


def thinned(picture: np.ndarray, step: int) -> np.ndarray:
    """[H, W, ...] with every `step` pixels averaged into one; the last ones are repeated where they do not suffice."""
    height, width = picture.shape[:2]
    small = -(-width // step), -(-height // step)
    return cv2.resize(
        cut(picture, [0, 0, small[0] * step, small[1] * step], "edge"), small, interpolation=cv2.INTER_AREA
    )


Motion = tuple[np.ndarray, np.ndarray]  # flow float32 [H, W, 2] and its certainty, float32 [H, W] 0..1


def between(pictures: Sequence[np.ndarray], method: Callable) -> tuple[list[Motion], list[Motion]]:
    """Motion of all pictures but the outer two to the first of them, and to the last."""
    steps, order = _steps(pictures, method), range(len(pictures))
    return towards(pictures, order[:-1], steps, method), towards(pictures, order[:0:-1], steps, method)[::-1]


def after(pictures: Sequence[np.ndarray], method: Callable) -> tuple[list[Motion]]:
    """Motion of all pictures but the first to that one."""
    return (towards(pictures, range(len(pictures)), _steps(pictures, method), method),)


def _steps(pictures: Sequence[np.ndarray], method: Callable) -> dict[tuple[int, int], np.ndarray]:
    """The flow between neighbours, both ways: {(from, to): flow}."""
    steps = {}
    for i, (here, there) in enumerate(pairwise(pictures)):
        steps[i, i + 1], steps[i + 1, i] = method(here, there), method(there, here)
    return steps


def towards(pictures: Sequence[np.ndarray], order: Sequence[int], steps: dict, method: Callable) -> list[Motion]:
    """Motion to the first of `order` of all pictures that follow."""
    key, result = order[0], []
    ways = (np.zeros((*pictures[key].shape[:2], 2), np.float32),) * 2
    for before, i in pairwise(order):
        step = steps[i, before], steps[before, i]
        ways, sure = further(ways, step, pictures[i], pictures[key], method)
        result.append((ways[0], sure))
    return result


Ways = tuple[np.ndarray, np.ndarray]  # flow there and back, both float32 [H, W, 2]


def further(ways: Ways, step: Ways, here: np.ndarray, there: np.ndarray, method: Callable) -> tuple[Ways, np.ndarray]:
    """The ways between `here` and the keyframe `there`, and how sure the first is, float32 [H, W] 0..1.

    What was found for the picture before, `ways`, and the step to it lead there as well (the chained estimate). It is
    also where the search begins (the direct one). Pixel by pixel the surer of both is taken. The way back, by which
    they are judged, is chained.
    """
    chained, back = then(step[0], ways[0]), then(ways[1], step[1])
    onwards, sure = surer([chained, method(here, there, chained)], back, here, there)
    return (onwards, back), sure


def surer(ways: Sequence[np.ndarray], back: np.ndarray, here: np.ndarray, there: np.ndarray) -> Motion:
    """Pixel by pixel, of two estimates of the flow from `here` to `there` the surer."""
    one, other = ways
    first, second = (certainty(way, back, here, there) for way in ways)
    better = np.uint8(first > second)
    return cv2.copyTo(one, better, other.copy()), np.maximum(first, second)


def then(flow: np.ndarray, onwards: np.ndarray) -> np.ndarray:
    """One displacement after the other."""
    return flow + warp(onwards, flow)


def certainty(forward: np.ndarray, backward: np.ndarray, here: np.ndarray, there: np.ndarray) -> np.ndarray:
    """How far the flow `forward` from `here` to `there` is to be trusted, float32 [H, W] 0..1."""
    x, y = cv2.split(then(forward, backward))
    error = np.sqrt(x * x + y * y)  # OpenCV's own is not the same to the last bit every time
    # What left the box has no way back, but its edge, repeated, would pretend that it has.
    inside = warp(np.ones_like(error), forward, cv2.BORDER_CONSTANT)
    unlike = np.abs(warp(there.astype(np.float32), forward) - here)
    unlike = cv2.GaussianBlur(unlike if unlike.ndim == 2 else unlike.mean(-1), (0, 0), 1)
    # The fourth power falls about as a normal distribution does, in a third of the time.
    return inside * AGREEMENT / (AGREEMENT + error) / (1 + np.square(np.square(unlike / LIKENESS)))


def warp(
    picture: np.ndarray, flow: np.ndarray, border: int = cv2.BORDER_REPLICATE, at: tuple[int, int] = (0, 0)
) -> np.ndarray:
    """The picture [H, W] or [H, W, C] sampled bilinearly at p + flow[p] for every p; outside it, OpenCV's `border`.

    at: where in the picture (x, y) the flow's corner is.
    """
    return cv2.remap(picture, _places(*flow.shape[:2], *at) + flow, None, cv2.INTER_LINEAR, borderMode=border)


@lru_cache(4)
def _places(height: int, width: int, x: int, y: int) -> np.ndarray:
    """(x, y) of every pixel of a box, float32 [height, width, 2]."""
    columns, rows = np.arange(x, x + width, dtype=np.float32), np.arange(y, y + height, dtype=np.float32)
    return np.dstack(np.meshgrid(columns, rows))


def write(path: Path, *ways: Motion, step: int = 1) -> None:
    """Store motion towards the keyframe before and, if there is one, that after at every STEP-th pixel, given at every
    `step`-th."""
    flows, sure = ([thinned(each, STEP // step) for each in kind] for kind in zip(*ways, strict=True))
    arrays = BytesIO()
    np.save(arrays, _rounded(np.stack(flows) * (step * UNIT), np.int16))
    np.save(arrays, _rounded(np.stack(sure) * 255, np.uint8))
    path.write_bytes(igzip.compress(arrays.getvalue(), compresslevel=1, mtime=0))  # the same bytes every time


def _rounded(values: np.ndarray, dtype: type) -> np.ndarray:
    """To whole numbers, as far as they go."""
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)


def read(path: Path, box: Box) -> list[Motion]:
    """Motion at every pixel of its box towards the keyframe before and, if there is one, that after."""
    try:
        arrays = BytesIO(igzip.decompress(path.read_bytes()))
        flows, sure = (np.load(arrays, allow_pickle=False) for _ in range(2))
    except Exception:  # gzip and numpy have a dozen ways to say that bytes are damaged
        raise UserError(f"{path}: missing or damaged; delete the folder {path.parent} and run again") from None
    return [
        (enlarged(np.float32(way) / UNIT, box), enlarged(np.float32(certain) / 255, box))
        for way, certain in zip(flows, sure, strict=True)
    ]


def enlarged(thin: np.ndarray, box: Box) -> np.ndarray:
    """The inverse of `thinned` by STEP."""
    return cv2.resize(thin, None, fx=STEP, fy=STEP)[: box[3], : box[2]]


def weighed(motion: Sequence[Motion], i: int, *keys: int) -> list[Motion]:
    """Frame i beside one or two keyframes: displacements to them, and weights float32 [H, W] that add up to 1.

    A keyframe weighs more the nearer it is and the surer the motion to it is.
    """
    weights = [(sure + LEAST) / abs(i - key) for (_, sure), key in zip(motion, keys, strict=True)]
    return [(way, weight / sum(weights)) for (way, _), weight in zip(motion, weights, strict=True)]
