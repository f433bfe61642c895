"""Imports and networks without PyTorch's compiler."""

import subprocess
import sys

import pytest

from clevam.uncompiled import NAMES, uncompiled
from conftest import CHECKPOINT


def succeeds(code: str) -> bool:
    """In a process of its own: in this one the compiler may be there already."""
    return subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_an_edit_does_not_wait_for_the_compiler():
    load = f"Diffusion(Machine({str(CHECKPOINT)!r}, 'cpu', 1))"
    assert succeeds(f"import sys; from clevam.edit import *; {load}; sys.exit('torch._dynamo' in sys.modules)")


def test_whoever_wants_it_afterwards_has_it():
    used = "torch.compile(lambda x: x + 1, backend='eager')(torch.ones(1)) == 2"
    assert succeeds(f"import clevam.edit, torch; assert {used}")


def test_what_was_imported_within_finds_it_when_called():
    code = "from torch._dynamo.utils import is_compile_supported as supported"
    assert succeeds(f"""
from clevam.uncompiled import uncompiled
with uncompiled():
    {code}
theirs = supported
{code}
assert theirs is not supported and theirs("cpu") == supported("cpu")
""")


def test_an_import_that_fails_leaves_nothing_behind(monkeypatch):
    for name in NAMES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(ImportError), uncompiled():
        assert sys.modules.keys() >= {*NAMES}
        import clevam.no_such_module  # noqa: F401
    assert not sys.modules.keys() & {*NAMES}
