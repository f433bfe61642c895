"""What an edit takes of memory and disk, told before it is spent."""

import math
from pathlib import Path
from shutil import copytree
from types import SimpleNamespace

import pytest
import torch

from clevam import budget, edit, store
from clevam.diffusion import Diffusion, Machine
from clevam.errors import UserError
from conftest import CHECKPOINT, random

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
MADE_WITH = {"weights": "0123456789ab", "timesteps": [751, 501, 251, 1], "dtype": "torch.float32", "store": "kv"}


def weights() -> dict[str, int]:
    """How many each network of the checkpoint has, once it is loaded."""
    pipe = Diffusion(Machine(str(CHECKPOINT), "cpu", 1)).pipe
    return {part: sum(p.numel() for p in getattr(pipe, part).parameters()) for part in ("unet", "vae", "text_encoder")}


def test_weights_are_counted_without_loading_them():
    assert {part: budget.count(Path(CHECKPOINT) / part) for part in weights()} == weights()


def test_the_same_weights_in_half_precision_beside_them_count_once(tmp_path):
    folder = copytree(Path(CHECKPOINT) / "unet", tmp_path / "unet")
    (file,) = folder.glob("*.safetensors")
    file.with_suffix(".fp16.safetensors").write_bytes(file.read_bytes())
    assert budget.count(folder) == weights()["unet"]


@pytest.mark.parametrize("content", [None, b"", b"\xff" * 64])
def test_weights_that_cannot_be_counted_are_left_to_those_who_load_them(tmp_path, content):
    if content is not None:
        (tmp_path / "model.safetensors").write_bytes(content)
    assert budget.count(tmp_path) == 0


def test_what_is_needed_is_the_weights_that_are_there_at_once_and_more_for_larger_crops():
    sizes, half = weights(), torch.float16
    own = {part: count * (4 if part == "vae" else 2) for part, count in sizes.items()}  # the VAE is never in half
    assert budget.least(CHECKPOINT, half, "none", 0) == sum(own.values())
    assert budget.least(CHECKPOINT, half, "model", 0) == max(own.values())
    assert budget.least(CHECKPOINT, half, "layers", 1000) == 1000 * budget.BESIDE // 2
    assert budget.least(CHECKPOINT, torch.float32, "layers", 1000) == 1000 * budget.BESIDE


@pytest.mark.parametrize(
    ("device", "offload", "cure"),
    [
        (CUDA, "none", "set runtime.offload: layers, a smaller plan.size or runtime.dtype: bfloat16, or end what else"),
        (CPU, "layers", "set a smaller plan.size or runtime.dtype: bfloat16, or end what else runs there"),
    ],
)
def test_where_that_is_not_free_the_job_says_what_to_change(monkeypatch, device, offload, cure):
    options = {"dtype": torch.float32, "offload": offload, "sizes": [[512, 512], [1024, 1024]]}
    needed = budget.least(CHECKPOINT, torch.float32, "none", 1024 * 1024)
    monkeypatch.setattr(budget, "free_memory", lambda _: needed)
    budget.check_memory(CHECKPOINT, device, **options)
    monkeypatch.setattr(budget, "free_memory", lambda _: needed - 1)
    with pytest.raises(UserError) as error:
        budget.check_memory(CHECKPOINT, device, **options)
    assert str(error.value).startswith(
        f"an edit takes at least 5.2 GB of memory, and on {device} 5.2 GB are free: {cure}"
    )


def test_nothing_is_loaded_before_memory_was_looked_at(monkeypatch):
    monkeypatch.setattr(budget, "free_memory", lambda _: 0)
    monkeypatch.setattr(edit, "Diffusion", lambda *_: pytest.fail("the checkpoint is loaded"))
    keyframe = edit.Keyframe("none.png", "none.png", {"box": [0, 0, 9, 9], "work": [64, 64]})
    machine, settings = Machine(str(CHECKPOINT), "cpu", 1), {"dtype": "auto"}
    with pytest.raises(UserError, match="an edit takes at least"):
        edit.check_memory([keyframe], settings, machine)


def test_a_control_group_may_leave_less_than_the_machine_has(monkeypatch, tmp_path):
    free = budget.free_memory(CPU)
    assert 0 < free <= budget.psutil.virtual_memory().total
    monkeypatch.setattr(budget, "_left", lambda: iter([12_345]))
    assert budget.free_memory(CPU) == 12_345


# ---- disk --------------------------------------------------------------------------------------------------------


def step_size(folder: Path) -> int:
    store.Writer(folder, MADE_WITH)(0, {"layer/1/k": random(2, 2, 3, 4)})
    return (folder / "step_000.pt").stat().st_size


def test_the_first_step_tells_what_all_take_and_the_second_is_never_asked(tmp_path, monkeypatch):
    size = step_size(tmp_path / "one")
    writer = store.Writer(tmp_path / "two", MADE_WITH, disk=4 * size / 1e9)
    for step in (0, 1):
        writer(step, {"layer/1/k": random(2, 2, 3, 4)})
        monkeypatch.setattr(budget, "check_disk", lambda *_: pytest.fail("looked at again"))


def test_more_than_the_limit_is_refused(tmp_path):
    size = step_size(tmp_path / "one")
    writer = store.Writer(tmp_path / "two", MADE_WITH, disk=(4 * size - 1) / 1e9)
    with pytest.raises(
        UserError, match=r"attention takes 0\.0 GB of disk, and limits\.disk is .* GB: set share\.store"
    ):
        writer(0, {"layer/1/k": random(2, 2, 3, 4)})


def test_more_than_is_free_is_refused(tmp_path, monkeypatch):
    size = step_size(tmp_path / "one")
    monkeypatch.setattr(budget, "disk_usage", lambda _: SimpleNamespace(free=3 * size - 1))
    with pytest.raises(UserError, match=r"attention takes 0\.0 GB more of disk, and 0\.0 GB are free: .*make room"):
        store.Writer(tmp_path / "two", MADE_WITH, disk=math.inf)(0, {"layer/1/k": random(2, 2, 3, 4)})
    monkeypatch.setattr(budget, "disk_usage", lambda _: SimpleNamespace(free=3 * size))
    store.Writer(tmp_path / "two", MADE_WITH, disk=math.inf)(0, {"layer/1/k": random(2, 2, 3, 4)})
