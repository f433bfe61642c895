"""Where a network runs."""

import torch

from clevam.errors import UserError


def pick_device(device: str) -> torch.device:
    """`auto` is CUDA where there is one; `cuda` never falls back to the CPU."""
    if device == "cpu" or (device == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise UserError("runtime.device: cuda, but this machine has no usable CUDA device; set it to auto or cpu")
    return torch.device("cuda")
