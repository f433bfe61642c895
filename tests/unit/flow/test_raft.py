"""raft.py: RAFT from files of its weights, which are random here: the way in and out is tested, not the motion."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torchvision.models.optical_flow import Raft_Small_Weights, raft_large, raft_small

from clevam import flow, video
from clevam.errors import UserError
from clevam.raft import Raft
from conftest import index_of


@pytest.fixture(scope="module")
def small() -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return raft_small().eval()


@pytest.fixture(scope="module")
def weights(small, tmp_path_factory) -> str:
    """The small network's state dict, as published."""
    path = tmp_path_factory.mktemp("weights") / "raft_small.pth"
    torch.save(small.state_dict(), path)
    return str(path)


@pytest.fixture(scope="module")
def raft(weights) -> Raft:
    return Raft(weights, "cpu")


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def tensor(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1)[None]


def torchvisions(model: torch.nn.Module, here: np.ndarray, there: np.ndarray) -> np.ndarray:
    """What torchvision's documentation does with two pictures of sides that are multiples of 8."""
    pair = Raft_Small_Weights.C_T_V2.transforms()(tensor(here), tensor(there))
    with torch.no_grad():
        return model(*pair)[-1][0].permute(1, 2, 0).numpy()


# ---- the network -------------------------------------------------------------------------------------------------


def test_it_is_torchvisions_own_network(raft, small):
    here, there = noise(128, 136), noise(128, 136, seed=1)
    found = raft(here, there)
    assert (found.shape, found.dtype) == ((128, 136, 2), np.float32)
    assert np.array_equal(found, torchvisions(small, here, there))
    assert not np.array_equal(found, raft(there, here))


def test_the_large_network_is_known_by_its_state_dict(tmp_path):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        large = raft_large().eval()
    torch.save(large.state_dict(), tmp_path / "w.pth")
    here, there = noise(128, 128), noise(128, 128, seed=1)
    assert np.array_equal(Raft(str(tmp_path / "w.pth"), "cpu")(here, there), torchvisions(large, here, there))


@pytest.mark.parametrize("height, width", [(1, 1), (3, 130), (131, 20), (129, 137)])
def test_a_tiny_or_odd_picture_is_padded_with_its_edge_and_cut_back(raft, small, height, width):
    pair = noise(height, width), noise(height, width, seed=1)
    rows, columns = (max(128, -(-n // 8) * 8) - n for n in (height, width))
    padded = (np.pad(p, [(0, rows), (0, columns), (0, 0)], mode="edge") for p in pair)
    found = raft(*pair)
    assert found.shape == (height, width, 2)
    assert np.array_equal(found, torchvisions(small, *padded)[:height, :width])


def test_it_sees_colours(raft):
    red, blue = np.zeros((2, 128, 128, 3), np.uint8)
    red[40:80, 40:80, 0] = blue[40:80, 40:80, 2] = 255
    assert not np.allclose(raft(red, red), raft(blue, blue), atol=1e-3)


def test_a_guess_changes_nothing(raft):
    pair = noise(128, 128), noise(128, 128, seed=1)
    assert np.array_equal(raft(*pair, guess=np.full((128, 128, 2), 5, np.float32)), raft(*pair))


# ---- its weights -------------------------------------------------------------------------------------------------


def save_as(state: dict, path: Path) -> None:
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_weights_are_read_in_the_usual_formats(raft, small, tmp_path, name, prefix):
    save_as({prefix + k: v for k, v in small.state_dict().items()}, tmp_path / name)
    pair = noise(128, 128), noise(128, 128, seed=1)
    assert np.array_equal(Raft(str(tmp_path / name), "cpu")(*pair), raft(*pair))


def without_one(state: dict) -> dict:
    del state["update_block.flow_head.conv2.bias"]
    return state


def of_another_shape(state: dict) -> dict:
    return state | {"update_block.flow_head.conv2.bias": torch.zeros(3)}


@pytest.mark.parametrize(
    "change, reason",
    [
        (without_one, "update_block.flow_head.conv2.bias is missing"),
        (of_another_shape, r"update_block.flow_head.conv2.bias is \[3\], not \[2\]"),
        (lambda state: {"a": torch.ones(1)}, "feature_encoder.convnormrelu.0.weight is missing"),
    ],
)
def test_weights_of_another_network_are_an_error_that_names_a_tensor(small, tmp_path, change, reason):
    torch.save(change(small.state_dict()), tmp_path / "w.pth")
    error = rf"^models.flow: .*w.pth is of another architecture: {reason}; check what models.flow names$"
    with pytest.raises(UserError, match=error):
        Raft(str(tmp_path / "w.pth"), "cpu")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"^models\.flow: there is no file .*/w\.pth$"):
        Raft(str(tmp_path / "w.pth"), "cpu")


class Code:
    """What makes a file as soon as it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("harm", ["code", "network", "bytes"])
def test_what_is_no_state_dict_is_one_line_and_is_never_run(small, tmp_path, harm):
    path, trace = tmp_path / "w.pth", tmp_path / "trace"
    content = {"code": small.state_dict() | {"x": Code(trace)}, "network": small, "bytes": None}[harm]
    path.write_bytes(b"<html>not found</html>") if harm == "bytes" else torch.save(content, path)
    with pytest.raises(UserError, match=r"^models\.flow: .*/w\.pth is damaged, or holds something else than .*$"):
        Raft(str(path), "cpu")
    assert not trace.exists()


# ---- the stage ---------------------------------------------------------------------------------------------------


def test_the_stage_writes_the_same_files_as_with_dense_inverse_search(raft, clip, tmp_path):
    box = [4, 2, 61, 35]
    options = {"index": index_of(clip), "motion": [[[0, 2], [1, 1], box], [[2, 4], [3, 3], None]], "frames": [0, 9]}
    flow.measure(str(clip), str(tmp_path / "raft"), method=raft, **options)
    flow.measure(str(clip), str(tmp_path / "dis"), method=flow.Dis("fast"), **options)
    assert [path.name for path in (tmp_path / "raft").glob("[!.]*")] == ["000001.npy.gz"]
    one, other = (flow.read(tmp_path / kind / "000001.npy.gz", box) for kind in ("raft", "dis"))
    assert [(way.shape, sure.shape) for way, sure in one] == [(way.shape, sure.shape) for way, sure in other]


def test_the_stage_stores_the_networks_flow_between_colour_crops_and_its_check(raft, clip, tmp_path):
    box, index = [4, 2, 61, 35], index_of(clip)
    flow.measure(
        str(clip), str(tmp_path / "0000"), index=index, motion=[[[0, 2], [1, 1], box]], frames=[0, 9], method=raft
    )
    crops = [video.rgb8(frame, index["stream"])[2:37, 4:65] for _, frame in video.frames(clip, last=2)]
    pairs = [(raft(crops[1], crops[k]), raft(crops[k], crops[1])) for k in (0, 2)]
    checked = [(pair[0], flow.certainty(*pair, crops[1], crops[k])) for pair, k in zip(pairs, (0, 2), strict=True)]
    flow.write(tmp_path / "expected.npy.gz", *checked)
    stored, expected = (flow.read(p, box) for p in (tmp_path / "0000/000001.npy.gz", tmp_path / "expected.npy.gz"))
    for one, other in zip(stored, expected, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
