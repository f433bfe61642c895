"""The detector and the segmenter in demo/ are what their script writes."""

from pathlib import Path

import pytest
import torch

COMMITTED = Path(__file__).parents[3] / "demo" / "models"
FOLDERS = ("grounding", "segmentation")
FILES = sorted(p.relative_to(COMMITTED) for folder in FOLDERS for p in (COMMITTED / folder).rglob("*") if p.is_file())


def test_script_writes_the_committed_files(finders):
    assert sorted(p.relative_to(finders) for p in finders.rglob("*") if p.is_file()) == FILES
    assert len(FILES) == 7


@pytest.mark.parametrize("path", [p for p in FILES if p.suffix != ".pth"], ids=str)
def test_script_writes_the_committed_settings(finders, path):
    assert (finders / path).read_bytes() == (COMMITTED / path).read_bytes()


@pytest.mark.parametrize("path", [p for p in FILES if p.suffix == ".pth"], ids=str)
def test_script_writes_the_committed_weights_tensor_by_tensor(finders, path):
    found, expected = (torch.load(folder / path, weights_only=True) for folder in (finders, COMMITTED))
    found, expected = (state.get("model", state) for state in (found, expected))
    assert list(found) == list(expected)
    assert [name for name in expected if not torch.equal(found[name], expected[name])] == []
    assert torch.float32 not in {tensor.dtype for tensor in expected.values()}
