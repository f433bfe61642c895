"""State dicts in files: read without running anything that is in them, and loaded without a tensor missing."""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from clevam.errors import UserError

State = dict[str, Tensor]


def read_state(path: str, key: str) -> State:
    """The tensors of a .safetensors file or of a PyTorch file, there also under `model` or `state_dict`.

    The `module.` before every name, which training on several GPUs leaves, is taken off.
    key: what the configuration calls the model, for errors. Raises UserError for anything but tensors: a pickle is
    read by PyTorch's restricted unpickler only.
    """
    if not Path(path).is_file():
        raise UserError(f"{key}: there is no file {path}")
    try:
        if path.endswith(".safetensors"):
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
            for name in ("model", "state_dict"):
                state = state.get(name, state)
        if state and all(isinstance(value, Tensor) for value in state.values()):
            return {name.removeprefix("module."): value for name, value in state.items()}
        raise ValueError
    except Exception:  # unpicklers and zip readers have a dozen ways to say that bytes are not theirs
        raise UserError(
            f"{key}: {path} is damaged, or holds something else than a state dict of tensors, which is never loaded "
            "as it could be a program; download it again, or save just the state dict"
        ) from None


def load_into(model: torch.nn.Module, state: State, path: str, key: str) -> None:
    """Fill a model with a state dict. Raises UserError if a tensor is missing or has another shape.

    Tensors that the model has no place for are left out: published files hold some of their training's.
    """
    own = model.state_dict()
    missing = [name for name in own if name not in state and not name.endswith("position_ids")]
    other = [name for name in own if name in state and own[name].shape != state[name].shape]
    if missing or other:
        reason = f"{missing[0]} is missing" if missing else _shapes(other[0], state, own)
        raise UserError(f"{key}: {path} is of another architecture: {reason}; check what {key} names")
    model.load_state_dict({name: tensor for name, tensor in state.items() if name in own}, strict=False)


def _shapes(name: str, state: State, own: State) -> str:
    return f"{name} is {list(state[name].shape)}, not {list(own[name].shape)}"
