"""Where a network runs, and that no two jobs run on one card."""

import os
import tempfile
import time
from functools import cache
from itertools import product
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from clevam.errors import UserError

SHARE = "CLEVAM_GPU_SHARE"  # config.Runtime.gpu_share, of a job (adapter.py)


def pick_device(device: str) -> torch.device:
    """`auto` is CUDA where there is one; `cuda` never falls back to the CPU. A card is this process's until it ends."""
    if device == "cpu" or (device == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise UserError("runtime.device: cuda, but this machine has no usable CUDA device; set it to auto or cpu")
    card, _ = hold()
    torch.cuda.set_device(card)
    return torch.device("cuda", card)


@cache
def hold() -> tuple[int, FileLock]:
    """A card that no more than SHARE jobs use, this one among them, and the lock that says so; waits for one.

    The system lets go of the lock when the process ends, however it does.
    """
    # By the card, not by its number: a scheduler shows every job its own as number 0.
    cards = [str(torch.cuda.get_device_properties(n).uuid) for n in range(torch.cuda.device_count())]
    places = list(product(range(int(os.environ.get(SHARE, 1))), range(len(cards))))
    waited = False
    while True:
        for place, card in places:
            lock = FileLock(locks() / f"{cards[card]}.{place}")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            return card, lock
        if not waited:
            print("waiting: every GPU is taken by another job", flush=True)
        waited = True
        time.sleep(1)


def locks() -> Path:
    """The folder of this user's locks, the same for all projects on a machine."""
    folder = Path(tempfile.gettempdir()) / f"clevam-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise UserError(f"{folder} belongs to somebody else; remove it, or name another folder in TMPDIR")
    return folder
