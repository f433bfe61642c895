"""Which card a job runs on: one that no other job has."""

import os
import signal
import sys
import tempfile
from multiprocessing import get_context
from types import SimpleNamespace

import pytest
import torch

from clevam import device
from clevam.errors import UserError


class Job:
    """A job of another process: it says its card, and holds it until it is killed.

    Forked: PyTorch takes seconds to import.
    """

    def __init__(self, cards: int):
        ours, theirs = os.pipe()
        self.process = get_context("fork").Process(target=self.work, args=(cards, theirs))
        self.process.start()
        os.close(theirs)
        self.stdout = os.fdopen(ours)

    @staticmethod
    def work(cards: int, out: int) -> None:
        sys.stdout = os.fdopen(out, "w", buffering=1)
        torch.cuda.is_available = lambda: True
        torch.cuda.device_count = lambda: cards
        torch.cuda.set_device = lambda card: None
        torch.cuda.get_device_properties = lambda card: SimpleNamespace(uuid=f"card-{card}")
        print(device.pick_device("auto"), device.pick_device("cuda"))
        signal.pause()

    def said(self) -> str:
        return self.stdout.readline().strip()

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.stdout.close()


@pytest.fixture
def job(tmp_path, monkeypatch):
    """Start jobs on a machine with locks of its own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    started = []

    def start(cards: int) -> Job:
        started.append(Job(cards))
        return started[-1]

    yield start
    for each in started:
        each.end()


def test_two_jobs_take_two_cards_and_a_third_waits_for_one_that_dies(job):
    first, second = job(2), None
    assert first.said() == "cuda:0 cuda:0"  # one job, whatever it asks for
    second = job(2)
    assert second.said() == "cuda:1 cuda:1"
    third = job(2)
    assert third.said() == "waiting: every GPU is taken by another job"
    first.end()  # killed: it cannot give the card back by itself
    assert third.said() == "cuda:0 cuda:0"


def test_jobs_share_a_card_only_if_told_to_and_free_ones_first(job, monkeypatch):
    monkeypatch.setenv(device.SHARE, "2")
    assert [job(2).said() for _ in range(4)] == ["cuda:0 cuda:0", "cuda:1 cuda:1"] * 2
    assert job(2).said().startswith("waiting")


def test_without_a_card_or_without_wanting_one_it_is_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device.pick_device("auto").type == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device.pick_device("cpu").type == "cpu"


def test_cuda_never_falls_back(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"runtime\.device: cuda, but .* no usable CUDA .*; set it to auto or cpu"):
        device.pick_device("cuda")


def test_locks_in_a_folder_of_somebody_else_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(device, "tempfile", SimpleNamespace(gettempdir=lambda: str(tmp_path)))
    (tmp_path / "elsewhere").mkdir()
    device.locks().rmdir()
    (tmp_path / device.locks().name).rmdir()
    (tmp_path / f"clevam-gpus-{device.os.getuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="belongs to somebody else"):
        device.locks()
