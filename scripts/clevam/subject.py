"""What B looks like, shown by pictures of it: IP-Adapter (Ye et al., 2023), in the tokens of one region.

An adapter is a second set of keys and values for every layer that looks at words, over tokens that pictures are encoded
into. They are the same in every step, so they are made once, and the network stays as it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pickle import UnpicklingError

import torch
from diffusers.models.embeddings import (
    ImageProjection,
    IPAdapterFullImageProjection,
    IPAdapterPlusImageProjection,
    MultiIPAdapterImageProjection,
)
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor
from transformers import CLIPVisionModelWithProjection

from clevam import images
from clevam.adapters import read
from clevam.errors import UserError, reason

READ = (ImageProjection, IPAdapterFullImageProjection, IPAdapterPlusImageProjection)

# Of every layer that looks at words, keys and values of the pictures, (unconditional, conditional): [2, T, C] each.
Look = dict[str, tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Subject:
    """Pictures of what a region becomes, and how much of what they say is added to what the words do."""

    label: int
    scale: float
    pictures: tuple[str, ...]


def look(pipe, subjects: Sequence[Subject], weights: str, encoder: str) -> dict[int, Look]:
    """What the layers of a diffusers pipeline's network see of each subject, by label.

    weights: a .safetensors as published; encoder: the folder of its CLIP vision model. Raises UserError.
    """
    try:
        state = {"image_proj": {}, "ip_adapter": {}}
        for name, tensor in read(weights).items():
            part, _, rest = name.partition(".")
            state[part][rest] = tensor
        model = CLIPVisionModelWithProjection.from_pretrained(encoder, local_files_only=True)
        pipe.register_modules(image_encoder=model, feature_extractor=None)
        pipe.load_ip_adapter(state, "", "")
        if not isinstance(pipe.unet.encoder_hid_proj.image_projection_layers[0], READ):
            raise ValueError("it reads faces that another network has cut out")
        return {subject.label: seen(pipe, subject) for subject in subjects}
    except (
        OSError, KeyError, ValueError, RuntimeError, TypeError, AttributeError, SafetensorError, UnpicklingError,
    ) as error:  # fmt: skip
        raise UserError(
            f"models.subject: {weights} with {encoder} is no IP-Adapter for models.diffusion: {reason(error)}; "
            "name other files"
        ) from error
    finally:
        pipe.unload_ip_adapter()


def to(look: Look, device: torch.device) -> Look:
    return {layer: (k.to(device), v.to(device)) for layer, (k, v) in look.items()}


@torch.no_grad()
def seen(pipe, subject: Subject) -> Look:
    """What the layers of a network with an IP-Adapter see of one subject."""
    project: MultiIPAdapterImageProjection = pipe.unet.encoder_hid_proj
    whole = isinstance(project.image_projection_layers[0], ImageProjection)  # one vector says all of a picture
    pictures = [Image.fromarray(images.read_rgb(path)) for path in subject.pictures]
    shown, nothing = pipe.encode_image(pictures, pipe.unet.device, 1, not whole)
    (tokens,) = project([torch.stack([nothing, shown]).to(pipe.unet.dtype)])  # [2, pictures, tokens, C]
    words = tokens.flatten(1, 2)
    return {
        name.removesuffix(".processor"): (layer.to_k_ip[0](words), subject.scale * layer.to_v_ip[0](words))
        for name, layer in pipe.unet.attn_processors.items()
        if hasattr(layer, "to_k_ip")
    }
