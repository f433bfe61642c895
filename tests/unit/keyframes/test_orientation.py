"""orientation.py: pictures as they are meant to be seen, and back."""

import numpy as np
import pytest

from clevam.orientation import as_stored, upright, upright_size


def facts(width: int, height: int, rotation: int = 0, aspect: tuple[int, int] = (1, 1)) -> dict:
    return {"width": width, "height": height, "rotation": rotation, "sample_aspect": list(aspect)}


PICTURE = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)


@pytest.mark.parametrize(
    ("rotation", "expected"),
    [
        (0, [[1, 2, 3], [4, 5, 6]]),
        (90, [[3, 6], [2, 5], [1, 4]]),
        (180, [[6, 5, 4], [3, 2, 1]]),
        (270, [[4, 1], [5, 2], [6, 3]]),
    ],
)
def test_upright_turns_counter_clockwise(rotation, expected):
    assert upright(PICTURE, facts(3, 2, rotation)).tolist() == expected


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (5, 7, 2)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_as_stored_undoes_upright_exactly(rotation, shape, dtype):
    stored = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    known = facts(7, 5, rotation)
    back = as_stored(upright(stored, known), known)
    assert back.dtype == dtype
    assert np.array_equal(back, stored)


@pytest.mark.parametrize(
    ("rotation", "aspect", "expected"),
    [
        (0, (1, 1), (64, 48)),
        (90, (1, 1), (48, 64)),
        (180, (1, 1), (64, 48)),
        (0, (4, 3), (85, 48)),
        (0, (3, 4), (64, 64)),
        (90, (4, 3), (48, 85)),
        (270, (3, 4), (64, 64)),
    ],
)
def test_upright_size_has_square_pixels_and_loses_no_sample(rotation, aspect, expected):
    known = facts(64, 48, rotation, aspect)
    assert upright_size(known) == expected
    assert upright(np.zeros((48, 64, 3), np.uint8), known).shape[1::-1] == expected


@pytest.mark.parametrize("rotation", [0, 90])
def test_an_anamorphic_picture_comes_back_in_its_stored_size(rotation):
    known = facts(6, 4, rotation, (2, 1))
    stored = np.repeat(np.uint8([[10, 20, 30, 40, 50, 60]]), 4, axis=0)
    back = as_stored(upright(stored, known), known)
    assert back.shape == (4, 6)
    assert np.abs(back.astype(int) - stored).max() <= 3
