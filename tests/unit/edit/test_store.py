"""The reference's attention on disk: what is written is read, and nothing else is."""

import pickle

import numpy as np
import pytest
import torch

from clevam import store
from clevam.errors import UserError
from conftest import random

MADE_WITH = {"weights": "0123456789ab", "timesteps": [501, 1], "dtype": "torch.float32", "store": "kv"}


class Trap:
    """A pickle of this writes a file when it is loaded as one."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.fixture
def folder(tmp_path):
    """A folder with the two steps of a run."""
    writer = store.Writer(tmp_path / "reference", MADE_WITH)
    for step in (0, 1):
        writer(step, {"layer/1/k": random(2, 2, 3, 4, seed=step)})
    return tmp_path / "reference"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_step_comes_back_as_it_was_written_in_half_precision(tmp_path, dtype):
    cache = {"a/1/k": random(2, 2, 3, 4).to(dtype), "a/1/v": random(2, 3, 2, 4).transpose(1, 2).to(dtype)}
    store.Writer(tmp_path, MADE_WITH)(7, cache)
    found = store.Reader(tmp_path, MADE_WITH)(7)
    assert found.keys() == cache.keys()
    assert all(found[key].dtype == torch.float16 and torch.equal(found[key], cache[key].half()) for key in cache)


def test_each_step_has_its_own_file(folder):
    reader = store.Reader(folder, MADE_WITH)
    assert torch.equal(reader(1)["layer/1/k"], random(2, 2, 3, 4, seed=1).half())
    assert torch.equal(reader(0)["layer/1/k"], random(2, 2, 3, 4, seed=0).half())
    assert sorted(p.name for p in folder.iterdir()) == ["meta.json", "step_000.pt", "step_001.pt"]


def test_the_same_attention_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        store.Writer(tmp_path / name, MADE_WITH)(0, {"layer/1/k": random(2, 2, 3, 4)})
    assert (tmp_path / "a" / "step_000.pt").read_bytes() == (tmp_path / "b" / "step_000.pt").read_bytes()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("weights", "ffffffffffff", "made with weights '0123456789ab', not 'ffffffffffff'; delete it and run again"),
        ("timesteps", [751, 1], r"made with timesteps \[501, 1\], not \[751, 1\]; delete it and run again"),
        ("dtype", "torch.float16", "made with dtype 'torch.float32', not 'torch.float16'; delete it and run again"),
    ],
)
def test_a_folder_made_with_something_else_is_refused(folder, key, value, message):
    with pytest.raises(UserError, match=message) as error:
        store.Reader(folder, MADE_WITH | {key: value})
    assert str(error.value).startswith(f"{folder}: ")
    assert "\n" not in str(error.value)


def test_a_folder_of_another_version_is_refused(folder, monkeypatch):
    monkeypatch.setattr(store, "VERSION", 99)
    with pytest.raises(UserError, match="made with version 2, not 99; delete it and run again"):
        store.Reader(folder, MADE_WITH)


@pytest.mark.parametrize("content", [None, "", '{"weights": '])
def test_a_folder_without_its_meta_file_is_refused(folder, content):
    (folder / "meta.json").unlink()
    if content is not None:
        (folder / "meta.json").write_text(content)
    with pytest.raises(UserError, match=r"meta\.json: missing or damaged; delete .*reference and run again$"):
        store.Reader(folder, MADE_WITH)


@pytest.mark.parametrize("kept", [None, 0, 10, 0.5, -1])
def test_a_missing_or_truncated_step_is_refused(folder, kept):
    path = folder / "step_001.pt"
    data = path.read_bytes()
    path.unlink()
    if kept is not None:
        path.write_bytes(data[: int(kept * len(data)) if isinstance(kept, float) else kept])
    with pytest.raises(UserError, match=r"step_001\.pt: missing or damaged; delete .*reference and run again$"):
        store.Reader(folder, MADE_WITH)(1)


@pytest.mark.parametrize("write", [torch.save, lambda trap, path: path.write_bytes(pickle.dumps(trap))])
def test_a_step_with_code_in_it_is_refused_and_not_run(folder, tmp_path, write):
    write(Trap(tmp_path / "sprung"), folder / "step_000.pt")
    with pytest.raises(UserError, match=r"step_000\.pt: missing or damaged; delete .*reference and run again$"):
        store.Reader(folder, MADE_WITH)(0)
    assert not (tmp_path / "sprung").exists()


def test_a_replay_keeps_the_latents_and_the_crop_as_they_were(tmp_path):
    made_with, z = MADE_WITH | {"store": "replay"}, random(1, 4, 3, 2)
    writer = store.Writer(tmp_path, made_with)
    maps = [np.full((24, 16, 3), n, np.uint8) for n in range(12)]
    writer.keep(torch.ones(3, 2, dtype=torch.int64), np.full((24, 16, 3), 7, np.uint8), maps)
    writer(0, {"layer/1/k": random(2, 2, 3, 4), "z": z})
    reader = store.Reader(tmp_path, made_with)
    assert reader(0).keys() == {"z"} and torch.equal(reader(0)["z"], z)
    inside, piece, found = reader.kept()
    assert all(np.array_equal(*pair) for pair in zip(found, maps, strict=True))
    assert inside.tolist() == [[1, 1]] * 3 and piece.shape == (24, 16, 3) and (piece == 7).all()


def test_the_next_step_is_read_while_the_network_works(folder, monkeypatch):
    asked, load = [], store.Reader._load
    monkeypatch.setattr(store.Reader, "_load", lambda self, path: asked.append(path.name) or load(self, path))
    reader = store.Reader(folder, MADE_WITH)
    reader(0)
    reader.worker.shutdown(wait=True)
    assert asked == ["step_000.pt", "step_001.pt"]
