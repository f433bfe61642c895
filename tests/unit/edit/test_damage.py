"""What is damaged on the disk is found when it is read, named in one line, and the line says what to delete.

(Motion: tests/unit/flow/test_flow.py; masks between keyframes that are missing: tests/unit/out/test_propagate.py.)
"""

from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch

from clevam import candidates, edit, files, images, store
from clevam.errors import UserError

MADE_WITH = {"store": "kv", "timesteps": [1]}
LABELS = np.zeros((40, 60), np.uint8)
LABELS[10:30, 5:50] = 1
PICTURE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
LATENTS = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(0))


def attention(path: Path) -> None:
    store.Writer(path.parent, MADE_WITH)(0, {"k": LATENTS})


def latents(read: dict[str, torch.Tensor]) -> list:
    return [tensor.tolist() for tensor in read.values()]


def candidate(path: Path) -> None:
    candidates.write(path, candidates.Candidates.certain({0: LABELS > 0}, LABELS.shape))


def encoded(path: Path) -> None:
    path.write_bytes(PICTURE.tobytes())
    files.write_sum(path, f"{path}.json")


def encoded_read(path: Path) -> bytes:
    files.check_sum(path, f"{path}.json")
    return path.read_bytes()


# A file of each kind: who writes it, and who reads it, as something to be compared
KINDS: dict[str, tuple[Callable[[Path], None], Callable[[Path], object]]] = {
    "000000.png": (lambda p: images.write_png(p, PICTURE), lambda p: images.read_rgb(p).tolist()),
    "mask.png": (lambda p: images.write_labels(p, LABELS, 1), lambda p: images.read_labels(p, 1).tolist()),
    "000000.npz": (candidate, lambda p: candidates.read(p).masks.tolist()),
    "000000.safetensors": (lambda p: edit.write_inversion(p, LATENTS), lambda p: edit.read_inversion(str(p)).tolist()),
    "step_000.pt": (attention, lambda p: latents(store.Reader(p.parent, MADE_WITH)(0))),
    "0000.nut": (encoded, encoded_read),
    "index.json": (lambda p: files.write_json(p, {"pts": [1, 2, 3]}), files.read_json),
}


@pytest.fixture(params=KINDS)
def kind(request, tmp_path):
    """A file in a folder that a job has finished, its bytes, who reads it, and what it reads."""
    write, read = KINDS[request.param]
    with files.replacing(tmp_path / "0000") as folder:
        folder.mkdir()
        write(folder / request.param)
    path = tmp_path / "0000" / request.param
    return path, path.read_bytes(), read, read(path)


def refused(path: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(UserError) as error:
        read(path)
    line = str(error.value)
    assert line.startswith(str(path))
    assert "delete" in line
    assert line.endswith("and run again")
    assert "\n" not in line


@pytest.mark.parametrize("left", [None, 0, 0.3, 0.9], ids=["missing", "empty", "cut off", "cut off at its end"])
def test_a_file_that_is_not_there_or_not_whole_is_refused(kind, left):
    path, content, read, _ = kind
    path.unlink() if left is None else path.write_bytes(content[: int(left * len(content))])
    refused(path, read)


@pytest.mark.parametrize("kind", [name for name in KINDS if not name.endswith(".json")], indirect=True)
def test_a_bit_that_flipped_changes_nothing_or_is_refused(kind):
    """But in JSON, where a number may become another: docs/limits.md."""
    path, content, read, right = kind
    random = Random(0)
    for place in random.sample(range(8 * len(content)), 60):
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            assert read(path) == right
        except UserError:
            refused(path, read)


def test_a_folder_tells_which_files_it_was_finished_with(kind):
    path, *_ = kind
    path.unlink()
    assert path.name in files.members(path.parent)
    (path.parent / files.MEMBERS).unlink()
    with pytest.raises(UserError, match=f"^{path.parent}: missing or damaged; delete it and run again$"):
        files.members(path.parent)
