"""What an edit takes of memory and disk, told before it is spent."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from math import prod
from pathlib import Path
from shutil import disk_usage

import psutil
import torch
from safetensors import SafetensorError, safe_open

from clevam.errors import UserError

# Bytes that the network needs for each pixel of a crop beside its weights, in float32: 5,000 to 10,000 by the
# measurements in docs/models.md. The least, so that nothing is refused that would do.
BESIDE = 5000
GB = 1e9
PARTS = ("unet", "vae", "text_encoder", "text_encoder_2")


def check_memory(
    folder: str, device: torch.device, *, dtype: torch.dtype, offload: str, sizes: Iterable[list[int]]
) -> None:
    """Raise UserError if an edit of one keyframe cannot fit into what memory is free.

    folder: of the checkpoint; offload: config.Runtime's; sizes: (width, height) of the crops inside the model.
    """
    needed = least(folder, dtype, "none" if device.type == "cpu" else offload, max(map(prod, sizes), default=0))
    free = free_memory(device)
    if needed > free:
        cures = "runtime.offload: layers, " if device.type == "cuda" and offload != "layers" else ""
        raise UserError(
            f"an edit takes at least {needed / GB:.1f} GB of memory, and on {device} {free / GB:.1f} GB are free: set "
            f"{cures}a smaller plan.size or runtime.dtype: bfloat16, or end what else runs there"
        )


def least(folder: str, dtype: torch.dtype, offload: str, pixels: int) -> int:
    """Bytes that the least edit takes where the network runs: its weights, as far as they are there at once, and what
    it needs beside them for a crop of so many pixels."""
    sizes = {part: count(Path(folder) / part) * dtype.itemsize for part in PARTS}
    sizes["vae"] = count(Path(folder) / "vae") * torch.float32.itemsize
    weights = {"none": sum, "model": max, "layers": lambda _: 0}[offload](sizes.values())
    return weights + pixels * BESIDE * dtype.itemsize // torch.float32.itemsize


def count(folder: Path) -> int:
    """How many weights a network's safetensors hold, by their headers; 0 where there are none, or they are damaged."""
    files = sorted(folder.glob("*.safetensors"))
    plain = [file for file in files if ".fp16" not in file.name] or files  # the same weights in another precision
    found = 0
    for file in plain:
        with suppress(SafetensorError), safe_open(file, "pt") as stored:
            found += sum(prod(stored.get_slice(key).get_shape()) for key in stored.keys())  # noqa: SIM118
    return found


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a card, or in main memory for this process."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return min([psutil.virtual_memory().available, *_left()])


def _left() -> Iterator[int]:
    """Bytes that are left to the control groups of this process: in a container or a cluster's job there may be fewer
    than on the machine."""
    groups = Path("/sys/fs/cgroup")
    with suppress(OSError):
        own = groups / Path("/proc/self/cgroup").read_text().rpartition("::")[2].strip().lstrip("/")
        for group in (own, *own.parents):
            with suppress(OSError, ValueError):  # "max", or none of them
                limit, used = (int((group / f"memory.{name}").read_text()) for name in ("max", "current"))
                told = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
                yield limit - used + int(told["inactive_file"])  # files, held only until memory is needed


def check_disk(folder: Path, more: int, total: int, limit: float) -> None:
    """Raise UserError if so many bytes `more` do not fit on a folder's disk, or `total` is more than `limit` GB."""
    free = disk_usage(folder).free
    cures = "share.store: hidden or replay, a smaller plan.size or fewer steps"
    if total > limit * GB:
        raise UserError(
            f"the reference's attention takes {total / GB:.1f} GB of disk, and limits.disk is {limit:g} GB: "
            f"set {cures}, or raise limits.disk"
        )
    if more > free:
        raise UserError(
            f"the reference's attention takes {more / GB:.1f} GB more of disk, and {free / GB:.1f} GB are free: "
            f"set {cures}, or make room"
        )
