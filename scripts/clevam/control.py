"""ControlNets (Zhang et al., ICCV 2023): pictures of edges, depth, poses that hold the shape of what is painted."""

from dataclasses import dataclass
from pickle import UnpicklingError

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from diffusers import ControlNetModel
from safetensors import SafetensorError
from torch import Tensor

from clevam.attention import Context, Window, during
from clevam.errors import UserError, reason
from clevam.uncompiled import uncompiled

EDGES = (100, 200)  # canny's thresholds, as the published networks were trained


@dataclass(frozen=True)
class Control:
    """A network, how much of what it says is added, in which steps, and where: `inside`, `outside` or `both`."""

    network: ControlNetModel
    scale: float = 1.0
    window: Window = (0, 1)
    where: str = "both"


@dataclass(frozen=True)
class Guide:
    """A control and what it is shown of one keyframe, [1, 3, H, W] of 0 to 1."""

    control: Control
    hint: Tensor


@uncompiled()
def load(folder: str, key: str, dtype: torch.dtype, width: int) -> ControlNetModel:
    """The network of a folder, for text embeddings of this width. Raises UserError, which names the key."""
    try:
        network = ControlNetModel.from_pretrained(folder, torch_dtype=dtype, local_files_only=True)
    except (OSError, ValueError, TypeError, RuntimeError, SafetensorError, UnpicklingError) as error:
        raise UserError(
            f"{key}: {folder} cannot be loaded as a ControlNet in diffusers' layout: {reason(error)}"
        ) from error
    if network.config.cross_attention_dim != width:
        raise UserError(
            f"{key}: {folder} reads words {network.config.cross_attention_dim} numbers wide, models.diffusion writes "
            f"{width}: take one that was made for this Stable Diffusion"
        )
    return network


def canny(rgb: np.ndarray) -> np.ndarray:
    """Edges of a picture, uint8 [H, W, 3], white on black."""
    return cv2.cvtColor(cv2.Canny(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), *EDGES), cv2.COLOR_GRAY2RGB)


def hint(rgb: np.ndarray, like: Tensor) -> Tensor:
    """What a network is shown, uint8 [H, W, 3] as [1, 3, H, W] of 0 to 1."""
    return torch.from_numpy(rgb.copy()).permute(2, 0, 1)[None].to(like) / 255


def residuals(z: Tensor, t: int, added: dict | None, contexts: list[Context]) -> dict[str, list[Tensor] | Tensor]:
    """What all controls add to the UNet's own, as its arguments; nothing outside of their windows.

    z: [K * B, 4, h, w]; contexts: one per keyframe, each with a guide for each control. They read the last region's
    words.
    """
    total, each = None, len(z) // len(contexts)
    for n, guide in enumerate(contexts[0].guides):
        control = guide.control
        if not during(contexts[0].progress, control.window):
            continue
        text = torch.cat([context.texts[-1] for context in contexts])
        hints = torch.cat([context.guides[n].hint for context in contexts]).repeat_interleave(each, 0)
        down, mid = control.network(
            z.to(text.dtype), t, text, hints.to(text.dtype), control.scale, added_cond_kwargs=added, return_dict=False
        )
        said = [only(control.where, contexts, x) for x in (*down, mid)]
        total = said if total is None else [a + b for a, b in zip(total, said, strict=True)]
    if total is None:
        return {}
    return {"down_block_additional_residuals": total[:-1], "mid_block_additional_residual": total[-1]}


def only(place: str, contexts: list[Context], x: Tensor) -> Tensor:
    """Features [K * B, C, h, w] with only those in place left."""
    if place == "both":
        return x
    inside = torch.stack([(context.labels > 0).float()[None] for context in contexts])
    share = F.interpolate(inside.to(x), x.shape[-2:], mode="area").repeat_interleave(len(x) // len(contexts), 0)
    return x * (share if place == "inside" else 1 - share)
