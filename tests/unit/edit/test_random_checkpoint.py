"""The checkpoint in demo/ is what its script writes."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import random_checkpoint
from conftest import CHECKPOINT


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("models") / "diffusion"
    with torch.random.fork_rng():
        random_checkpoint.save(random_checkpoint.make_pipeline(seed=0), out)
    return out


def files(folder: Path, ending: str) -> list[Path]:
    return sorted(p.relative_to(folder) for p in folder.rglob(f"*{ending}") if p.is_file())


def test_script_writes_the_committed_files(made):
    assert files(made, "") == files(CHECKPOINT, "")


def test_script_writes_the_committed_settings(made):
    settings = [path for path in files(CHECKPOINT, "") if path.suffix != ".safetensors"]
    assert len(settings) == 9
    assert [p for p in settings if (made / p).read_bytes() != (CHECKPOINT / p).read_bytes()] == []


@pytest.mark.parametrize("path", files(CHECKPOINT, ".safetensors"), ids=str)
def test_script_writes_the_committed_weights_tensor_by_tensor(made, path):
    found, expected = load_file(made / path), load_file(CHECKPOINT / path)
    assert found.keys() == expected.keys()
    assert [name for name in expected if not torch.equal(found[name], expected[name])] == []
    assert {x.dtype for x in expected.values()} == {torch.float16}
