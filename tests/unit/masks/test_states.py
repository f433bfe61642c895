"""states.py: state dicts from files of any origin, and into a network."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from clevam.errors import UserError
from clevam.states import load_into, read_state
from conftest import Code

STATE = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.tensor([7.0, 8.0])}


def same(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def save(content: object, path: Path, zipped: bool = True) -> str:
    """A PyTorch file, in today's format or in the one from before 1.6."""
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return str(path)


def refused(path: str | Path) -> str:
    """The error that reading a file gives, one line that begins with the key and names the file."""
    with pytest.raises(UserError) as caught:
        read_state(str(path), "models.any")
    message = str(caught.value)
    assert message.startswith("models.any: ") and str(path) in message and "\n" not in message
    return message


# ---- reading -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"model": s, "epoch": 3}, lambda s: {"state_dict": s}])
def test_a_pytorch_file_is_read(tmp_path, zipped, prefix, wrap):
    stored = wrap({prefix + name: tensor for name, tensor in STATE.items()})
    assert same(read_state(save(stored, tmp_path / "w.pth", zipped), "models.any"), STATE)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_safetensors_file_is_read(tmp_path, prefix):
    save_file({prefix + name: tensor for name, tensor in STATE.items()}, tmp_path / "w.safetensors")
    assert same(read_state(str(tmp_path / "w.safetensors"), "models.any"), STATE)


def test_module_is_taken_off_at_the_beginning_only(tmp_path):
    path = save({"module.module.a": torch.ones(1), "head.module.b": torch.ones(1)}, tmp_path / "w.pth")
    assert list(read_state(path, "models.any")) == ["module.a", "head.module.b"]


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: {"x": x}, lambda x: {"model": STATE, "optimizer": x}])
def test_code_in_a_pickle_is_refused_and_never_run(tmp_path, zipped, wrap):
    path = save(wrap(Code(tmp_path / "made")), tmp_path / "w.pth", zipped)
    assert "which is never loaded as it could be a program" in refused(path)
    assert not (tmp_path / "made").exists()
    torch.load(path, weights_only=False)
    assert (tmp_path / "made").exists()  # it would have run


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(torch.nn.Linear(3, 2), id="network"),
        pytest.param({}, id="nothing"),
        pytest.param([1, 2], id="list"),
        pytest.param(torch.ones(3), id="tensor"),
        pytest.param({"epoch": 3}, id="numbers"),
        pytest.param({"model": 3}, id="number"),
        pytest.param(STATE | {"epoch": 3}, id="mixed"),
        pytest.param({1: torch.ones(1)}, id="unnamed"),
    ],
)
def test_what_is_no_state_dict_is_refused(tmp_path, content):
    assert "holds something else than a state dict" in refused(save(content, tmp_path / "w.pth"))


@pytest.mark.parametrize("name", ["new.pth", "old.pth", "w.safetensors"])
def test_a_file_cut_anywhere_is_refused(tmp_path, name):
    path = tmp_path / name
    save_file(STATE, path) if path.suffix == ".safetensors" else save(STATE, path, zipped=name == "new.pth")
    whole = path.read_bytes()
    for length in range(0, len(whole), max(len(whole) // 40, 1)):
        path.write_bytes(whole[:length])
        assert "is damaged" in refused(path)


@pytest.mark.parametrize("content", [b"hello", b"<html>404</html>", b"version https://git-lfs.github.com/spec/v1\n"])
@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_another_kind_of_file_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert "is damaged" in refused(tmp_path / name)


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors", ""])
def test_a_missing_file_or_a_folder_in_its_place_is_named(tmp_path, name):
    assert refused(tmp_path / name) == f"models.any: there is no file {tmp_path / name}"


# ---- loading -----------------------------------------------------------------------------------------------------


def layer() -> torch.nn.Linear:
    return torch.nn.Linear(3, 2)


def test_a_network_is_filled():
    network = layer()
    load_into(network, STATE, "w.pth", "models.any")
    assert same(network.state_dict(), STATE)


def test_half_precision_is_loaded_into_a_network_of_full_precision():
    network = layer()
    load_into(network, {name: tensor.half() for name, tensor in STATE.items()}, "w.pth", "models.any")
    assert same(network.state_dict(), STATE)
    assert network.weight.dtype == torch.float32


def test_tensors_without_a_place_are_left_out():
    network = layer()
    load_into(network, STATE | {"label_enc.weight": torch.ones(9)}, "w.pth", "models.any")
    assert same(network.state_dict(), STATE)


def test_positions_that_a_file_does_not_number_are_the_networks_own():
    network = layer()
    network.register_buffer("position_ids", torch.arange(4))
    load_into(network, STATE, "w.pth", "models.any")
    assert network.position_ids.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"weight": STATE["weight"]}, "bias is missing"),
        (STATE | {"weight": torch.ones(3, 2)}, "weight is [3, 2], not [2, 3]"),
        (STATE | {"weight": torch.ones(())}, "weight is [], not [2, 3]"),
    ],
)
def test_another_architecture_is_one_line_that_names_a_tensor_and_changes_nothing(state, reason):
    network, before = layer(), layer()
    before.load_state_dict(network.state_dict())
    with pytest.raises(UserError) as caught:
        load_into(network, state, "w.pth", "models.any")
    assert str(caught.value) == f"models.any: w.pth is of another architecture: {reason}; check what models.any names"
    assert same(network.state_dict(), before.state_dict())
