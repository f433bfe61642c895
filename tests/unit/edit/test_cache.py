"""The rows that other processes make for a training."""

import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from cache import Cache, filling


def open_numbers(folder: Path) -> Cache:
    return Cache(folder, 20, {"number": ("int64", ())})


def make_number(seed: int) -> dict:
    return {"number": np.int64(seed)}


def test_other_processes_fill_the_cache(tmp_path):
    opening = partial(open_numbers, tmp_path / "numbers")
    cache = opening()
    with filling([(opening, make_number)], workers=1):
        drawn = cache.draw(np.random.default_rng(0), 3)["number"]
        while cache.ready() < 20:
            time.sleep(0.01)
    assert drawn.shape == (3,)
    assert cache.arrays["number"].tolist() == [*range(20)]


def test_two_workers_share_the_rows(tmp_path):
    cache = open_numbers(tmp_path)
    cache.fill(make_number, 1, 2)
    assert cache.ready() == 0
    assert cache.done.tolist() == [False, True] * 10
    cache.fill(make_number, 0, 2)
    assert cache.ready() == 20


def test_what_is_done_is_not_made_again(tmp_path):
    open_numbers(tmp_path).fill(make_number, 0, 1)
    cache = open_numbers(tmp_path)
    assert cache.ready() == 20
    cache.fill(lambda seed: pytest.fail("made again"), 0, 1)
