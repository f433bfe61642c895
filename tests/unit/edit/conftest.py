"""Small networks with random weights, one of them a whole checkpoint, for the tests of the edit stage."""

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel

import checkpoint
import random_checkpoint
from clevam import images
from clevam.attention import Context, Options
from clevam.files import read_json

TEMPORARY = TemporaryDirectory()
CHECKPOINT = Path(TEMPORARY.name) / "diffusion"


SCHEMA = read_json(Path(__file__).parents[3] / "config" / "schema.json")["$defs"]["Edit"]["properties"]
EDIT = {key: field["default"] for key, field in SCHEMA.items() if key != "preset"}  # the configuration's defaults
EDIT["start"] = "inversion"  # which has a step more


def pytest_sessionstart() -> None:
    """Write the checkpoint that tests load."""
    with torch.random.fork_rng():
        checkpoint.save(random_checkpoint.make_pipeline(seed=0), CHECKPOINT)


def pytest_sessionfinish() -> None:
    TEMPORARY.cleanup()


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    """Standard normal numbers, the same ones for the same seed."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="session")
def unet() -> UNet2DConditionModel:
    """Stable Diffusion's blocks in their order, with 8 to 16 channels, 2 heads and words 12 numbers wide."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = UNet2DConditionModel(
            block_out_channels=[8, 8, 16, 16],
            layers_per_block=1,
            norm_num_groups=4,
            attention_head_dim=2,  # the number of heads
            cross_attention_dim=12,
        )
    for name, layer in net.named_modules():
        if name.endswith(("to_q", "to_k", "to_out.0")):
            layer.weight.data.mul_(4)  # attention that is not flat, and that shows in the result
    return net.eval().requires_grad_(False)


ROLES = ("write", "read", "record", "taken", "progress")


def context(labels: torch.Tensor, *, batch: int = 2, **options) -> Context:
    """A context whose every label has random words of its own. options: of attention.Options, and ROLES."""
    texts = [random(batch, 5, 12, seed=100 + r) for r in range(int(labels.max()) + 1)]
    roles = {key: options.pop(key) for key in ROLES if key in options}
    if "read" in roles and not isinstance(roles["read"], list):  # of a reference alone
        roles["read"] = [] if roles["read"] is None else [roles["read"]]
    return Context(labels, texts, Options(**options), **roles)


def box_labels(height: int, width: int, *boxes: tuple[slice, slice]) -> torch.Tensor:
    """int64 [height, width]: 0, and r in the rows and columns of the r-th box."""
    labels = torch.zeros(height, width, dtype=torch.int64)
    for r, box in enumerate(boxes, 1):
        labels[box] = r
    return labels


def write_scene(
    folder: Path, name: str, seed: int = 0, mask: tuple[slice, slice] | None = (slice(30, 44), slice(36, 60))
) -> tuple[str, str]:
    """Write keyframe `name` (smooth noise, 96 x 72) and its mask (a rectangle, or nothing); returns their paths."""
    noise = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    labels = np.zeros((72, 96), np.uint8)
    if mask:
        labels[mask] = 1
    keyframe, mask_path = (str(folder / kind / f"{name}.png") for kind in ("keyframes", "masks"))
    images.write_png(keyframe, cv2.resize(noise, (96, 72), interpolation=cv2.INTER_CUBIC))
    images.write_png(mask_path, labels)
    return keyframe, mask_path


@pytest.fixture
def scene(tmp_path: Path):
    """`write_scene` into the test's own folder."""
    return partial(write_scene, tmp_path)
