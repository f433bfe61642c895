"""yuv.py: samples to RGB and back, as the ITU standards have it."""

import numpy as np
import pytest

from clevam import yuv
from clevam.yuv import Format

BT709, BT601, BT2020 = 1, 6, 9


def constant(samples: tuple[int, int, int], size: tuple[int, int] = (4, 6), form: Format | None = None) -> list:
    """Planes [Y, U, V] of one value each; size: (height, width) of Y."""
    x, y = form.chroma if form else (1, 1)
    small = -(-size[0] // y), -(-size[1] // x)
    return [np.full(shape, v, np.uint16) for shape, v in zip((size, small, small), samples, strict=True)]


def facts(**changed) -> dict:
    return {"bits": 8, "full_range": False, "colorspace": 2, "height": 576, "chroma": [2, 2]} | changed


@pytest.mark.parametrize(
    ("colorspace", "full_range", "red"),
    [
        (BT709, False, (63, 102, 240)),
        (BT601, False, (81, 90, 240)),
        (BT2020, False, (74, 97, 240)),
        (BT709, True, (54, 99, 255)),
        (BT601, True, (76, 85, 255)),
    ],
)
def test_red_has_the_samples_of_the_standard(colorspace, full_range, red):
    form = Format(8, full_range, colorspace, (1, 1))
    there = yuv.from_rgb(np.full((2, 2, 3), (1.0, 0, 0)), form)
    assert [int(yuv.quantise(p, form)[0, 0]) for p in there] == list(red)
    back = yuv.to_uint8(yuv.to_rgb(constant(red), form))[0, 0].astype(int)
    assert np.abs(back - (255, 0, 0)).max() <= 2


@pytest.mark.parametrize(
    ("bits", "full_range", "black", "white"),
    [(8, False, 16, 235), (8, True, 0, 255), (10, False, 64, 940), (10, True, 0, 1023), (12, False, 256, 3760)],
)
def test_black_and_white_are_the_ends_of_the_range(bits, full_range, black, white):
    form = Format(bits, full_range, BT709, (1, 1))
    grey = 1 << (bits - 1)
    assert np.allclose(yuv.to_rgb(constant((black, grey, grey)), form), 0, atol=1e-6)
    assert np.allclose(yuv.to_rgb(constant((white, grey, grey)), form), 1, atol=1e-6)


@pytest.mark.parametrize("bits", [8, 10, 16])
@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("colorspace", [BT709, BT601, BT2020])
def test_444_comes_back_within_half_a_level(bits, full_range, colorspace):
    form = Format(bits, full_range, colorspace, (1, 1))
    planes = np.random.default_rng(1).integers(0, 1 << bits, (3, 32, 32)).astype(form.dtype)
    back = yuv.from_rgb(yuv.to_rgb(list(planes), form), form)
    assert np.abs(np.array(back) - planes).max() < 0.5


@pytest.mark.parametrize("chroma", [(2, 2), (2, 1), (1, 2), (4, 1)])
@pytest.mark.parametrize("size", [(4, 8), (5, 7)])
def test_a_constant_colour_comes_back_exactly_from_smaller_chroma(chroma, size):
    form = Format(8, False, BT709, chroma)
    planes = constant((63, 102, 240), size, form)
    back = yuv.from_rgb(yuv.to_rgb(planes, form), form)
    for plane, again in zip(planes, back, strict=True):
        assert np.array_equal(yuv.quantise(again, form), plane)


def test_subsample_averages_cells_and_an_odd_edge_what_is_there():
    plane = np.array([[0, 2, 10], [4, 6, 20], [8, 10, 30]], float)
    assert yuv.subsample(plane, (2, 2)).tolist() == [[3, 15], [9, 30]]
    assert yuv.subsample(plane, (2, 1)).tolist() == [[1, 10], [5, 20], [9, 30]]
    assert yuv.subsample(plane, (1, 1)).tolist() == plane.tolist()


@pytest.mark.parametrize(
    ("colorspace", "height", "expected"),
    [(2, 576, BT601), (2, 577, BT709), (0, 480, BT601), (1, 480, BT709), (5, 1080, 5), (9, 480, BT2020)],
)
def test_an_untagged_stream_is_601_up_to_576_lines_and_709_above(colorspace, height, expected):
    assert Format.of(facts(colorspace=colorspace, height=height)).colorspace == expected


def test_to_uint8_rounds_and_clips():
    assert yuv.to_uint8(np.array([-0.1, 0.4 / 255, 0.6 / 255, 1, 1.2])).tolist() == [0, 0, 1, 255, 255]


def test_quantise_rounds_and_clips_to_the_depth():
    plane = np.array([-3.0, 1.4, 1.6, 300, 2000])
    eight, ten = (yuv.quantise(plane, Format(bits, True, BT709, (1, 1))) for bits in (8, 10))
    assert (eight.dtype, eight.tolist()) == (np.uint8, [0, 1, 2, 255, 255])
    assert (ten.dtype, ten.tolist()) == (np.uint16, [0, 1, 2, 300, 1023])
