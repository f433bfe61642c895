"""A Stable Diffusion checkpoint in diffusers' layout: words, latents and the network between them.

Four layouts are read by the same code: Stable Diffusion 1 and 2, XL, and the inpainting networks of either.
"""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError

import diffusers
import numpy as np
import torch
from accelerate import cpu_offload, cpu_offload_with_hook
from diffusers import ControlNetModel, DDIMScheduler, DiffusionPipeline
from safetensors import SafetensorError
from torch import Tensor

from clevam import adapters, control, subject
from clevam.adapters import Adapter
from clevam.device import pick_device
from clevam.errors import UserError, reason
from clevam.phrases import kept
from clevam.subject import Subject
from clevam.uncompiled import uncompiled

LAYOUTS = (
    "StableDiffusionPipeline", "StableDiffusionInpaintPipeline",
    "StableDiffusionXLPipeline", "StableDiffusionXLInpaintPipeline",
)  # fmt: skip
ENCODERS = ("text_encoder", "text_encoder_2")


@dataclass(frozen=True)
class Machine:
    """Where it runs: the checkpoint's folder, config.Runtime's device, offload and batch, the number of CPU threads,
    where the edit's ControlNets and adapters lie, and the IP-Adapter and its encoder, and config.Limits' disk in GB."""

    model: str
    device: str
    threads: int
    offload: str = "none"
    batch: int = 1
    controls: tuple[str, ...] = ()
    adapters: tuple[str, ...] = ()
    subject: tuple[str, ...] = ()
    disk: float = math.inf

    @classmethod
    def of(cls, snakemake) -> "Machine":
        """From the resources of a job, which Snakemake does not track: none of this re-runs anything."""
        keys = ("model", "device", "offload", "batch")
        known = {key: getattr(snakemake.resources, key) for key in keys}
        for key in ("controls", "adapters", "subject"):  # of edits; a resource holds one text
            known[key] = tuple(filter(None, str(snakemake.resources.get(key, "")).split(os.pathsep)))
        return cls(threads=snakemake.threads, disk=snakemake.resources.get("limit_disk", math.inf), **known)


@dataclass(frozen=True)
class Words:
    """A text as the network reads it: embedding [1, T, C], and XL's one vector for all of it, pooled [1, P]."""

    embedding: Tensor
    pooled: Tensor | None = None


class Diffusion:
    """A checkpoint, loaded once for many keyframes."""

    @uncompiled()
    def __init__(
        self,
        machine: Machine,
        dtype: str = "auto",
        tiling: bool = False,
        variant: str | None = None,
        changed_by: Sequence[Adapter] = (),
        shown: Sequence[Subject] = (),
    ) -> None:
        """dtype, tiling: config.Runtime; variant: config.Models. The VAE stays in float32: XL's overflows in half."""
        torch.set_num_threads(machine.threads)
        self.device = pick_device(machine.device)
        self.dtype = pick_dtype(dtype, self.device)
        pipe = load(machine.model, self.dtype, variant)
        adapters.load(pipe, changed_by)
        looks = subject.look(pipe, shown, *machine.subject) if shown else {}
        self.looks = {label: subject.to(look, self.device) for label, look in looks.items()}
        self.pipe, self.unet, self.vae = pipe, pipe.unet, pipe.vae
        self.controls: dict[str, ControlNetModel] = {}
        if tiling:
            self.tile()
        self.encoders = [getattr(pipe, name) for name in ENCODERS if getattr(pipe, name, None)]
        # On the CPU there is no other memory to keep weights in.
        self.offload = "none" if self.device.type == "cpu" else machine.offload
        place([*self.encoders, self.unet, self.vae], self.device, self.offload)
        self.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
        self.is_xl = self.unet.config.addition_embed_type == "text_time"
        self.inpaints = self.unet.config.in_channels == 9
        self.cell = 2 ** (len(self.vae.config.block_out_channels) - 1)  # pixels of a latent's side

    def tile(self) -> bool:
        """Decode pictures piece by piece from now on; False if that is so already."""
        before, self.vae.use_tiling = self.vae.use_tiling, True
        return not before

    def control(self, folder: str, key: str) -> ControlNetModel:
        """A ControlNet for this checkpoint, loaded once; key: what the configuration calls it."""
        if folder not in self.controls:
            self.controls[folder] = control.load(folder, key, self.dtype, self.unet.config.cross_attention_dim)
            place([self.controls[folder]], self.device, self.offload)
        return self.controls[folder]

    @torch.no_grad()
    def encode(self, text: str, negative: bool = False) -> Words:
        """A text as the network reads it; XL was trained with zeros for a negative text that is empty."""
        if not self.is_xl:
            return Words(self.pipe.encode_prompt(text, self.device, 1, False)[0])
        embedding, _, pooled, _ = self.pipe.encode_prompt(
            text, device=self.device, num_images_per_prompt=1, do_classifier_free_guidance=False
        )
        if negative and not text and self.pipe.config.force_zeros_for_empty_prompt:
            return Words(torch.zeros_like(embedding), torch.zeros_like(pooled))
        return Words(embedding, pooled)

    def kept(self, source: str, wanted: str) -> set[int]:
        """Where in a wanted text tokens stand that the source's has too (phrases.kept)."""
        read = self.pipe.tokenizer
        ids = [read(text, padding="max_length", truncation=True).input_ids for text in (source, wanted)]
        return kept(*ids, read.eos_token_id)

    def added(self, pooled: list[Tensor], size: tuple[int, int]) -> dict[str, Tensor] | None:
        """What XL is told beside the words, one row per vector of `pooled`: it, and that the picture of `size`
        (height, width) pixels is whole (Podell et al., ICLR 2024, section 2.2)."""
        if not self.is_xl:
            return None
        times = torch.tensor([[*size, 0, 0, *size]], dtype=self.dtype, device=self.device)
        return {"text_embeds": torch.cat(pooled), "time_ids": times.repeat(len(pooled), 1)}

    def channels(self, rgb: np.ndarray, labels: Tensor) -> Tensor | None:
        """What an inpainting network is given beside the latent, [1, 5, h, w]: the mask, and the source without A."""
        if not self.inpaints:
            return None
        mask = (labels > 0).float()[None, None]
        hidden = rgb.copy()
        rows = torch.nn.functional.interpolate(mask, rgb.shape[:2])[0, 0].bool().cpu().numpy()
        hidden[rows] = 127  # the middle grey that these networks were trained with
        return torch.cat([mask, self.to_latent(hidden)], 1)

    @torch.no_grad()
    def to_latent(self, rgb: np.ndarray) -> Tensor:
        """uint8 [H, W, 3] -> scaled float32 latent [1, 4, H / 8, W / 8], the posterior's mean."""
        pixels = torch.from_numpy(rgb.copy()).permute(2, 0, 1)[None].to(self.device, torch.float32) / 127.5 - 1
        return self.vae.encode(pixels).latent_dist.mean * self.vae.config.scaling_factor

    @torch.no_grad()
    def to_pixels(self, latent: Tensor) -> np.ndarray:
        """The inverse: float32 [H, W, 3], 0..255."""
        pixels = self.vae.decode(latent / self.vae.config.scaling_factor).sample[0]
        return ((pixels.clamp(-1, 1) + 1) * 127.5).permute(1, 2, 0).cpu().numpy()


def load(folder: str, dtype: torch.dtype, variant: str | None = None) -> DiffusionPipeline:
    """A checkpoint from a local folder in diffusers' layout. Raises UserError if it is none of the four LAYOUTS."""
    try:
        if not Path(folder).is_dir():  # diffusers would take it for the name of a model on the network
            raise OSError("no such folder")
        name = DiffusionPipeline.load_config(folder, local_files_only=True).get("_class_name")
        if name not in LAYOUTS:  # any other might bring code of its own
            raise OSError(f"it is a {name}; built in are {', '.join(LAYOUTS)}")
        unused = {"feature_extractor": None, "image_encoder": None}
        if "XL" not in name:
            unused |= {"safety_checker": None, "requires_safety_checker": False}
        pipe = getattr(diffusers, name).from_pretrained(
            folder, dtype={"default": dtype, "vae": torch.float32}, variant=variant, local_files_only=True, **unused
        )
        if len(pipe.tokenizer) < pipe.text_encoder.config.vocab_size:  # without its files it has no words, silently
            raise OSError("the tokenizer lacks its vocabulary")
        if pipe.unet.config.in_channels not in (4, 9):
            raise OSError(f"its network takes {pipe.unet.config.in_channels} channels, not 4 or, for inpainting, 9")
    except (OSError, ValueError, TypeError, AttributeError, RuntimeError, SafetensorError, UnpicklingError) as error:
        raise UserError(
            f"models.diffusion: {folder} cannot be loaded as Stable Diffusion in diffusers' layout: {reason(error)}; "
            "name another folder or download it again"
        ) from error
    return pipe


def pick_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """`auto` is half precision on CUDA, single elsewhere."""
    if dtype == "auto":
        return torch.float16 if device.type == "cuda" else torch.float32
    return getattr(torch, dtype)


def place(models: list[torch.nn.Module], device: torch.device, offload: str) -> None:
    """Bring the models to the device, for good or only while they work.

    offload: `none`; `model`: each leaves the device when the next of them is called; `layers`: so does each layer.
    """
    if offload == "none":
        for model in models:
            model.to(device)
    elif offload == "layers":
        for model in models:
            cpu_offload(model, device)
    else:
        hooks = [cpu_offload_with_hook(model, device)[1] for model in models]
        for hook, before in zip(hooks, [hooks[-1], *hooks], strict=False):  # in a circle: keyframe follows keyframe
            hook.hook.prev_module_hook = before
