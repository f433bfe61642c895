"""Painting B into the keyframes: the reference first, every other one while looking at the reference's attention."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from safetensors import SafetensorError
from torch import Tensor

from clevam import images, sampler, store
from clevam.attention import Cache, Context, layer_labels
from clevam.errors import UserError
from clevam.files import replacing
from clevam.geometry import cut, feather, paste

Settings = dict  # of an edit: weights (their fingerprint), find, replace, feather, edit (config.Edit)


@dataclass(frozen=True)
class Machine:
    """Where it runs: the checkpoint's folder, the device (config.Runtime) and the number of CPU threads."""

    model: str
    device: str
    threads: int


def reference(
    keyframe: str, mask: str, picture: str, cache: str, *, crop: dict, settings: Settings, machine: Machine
) -> None:
    """Edit the reference keyframe; write it as PNG to `picture` and its attention into the folder `cache`."""
    editor = Editor(settings, machine)
    with replacing(cache) as folder:
        folder.mkdir()
        writer = store.Writer(folder, editor.made_with) if settings["edit"]["attention"]["share"] else None
        images.write_png(picture, editor.edit(keyframe, mask, crop, write=writer))


def block(
    names: list[str], keyframes: list[str], masks: list[str], target: str, *, reference: str, picture: str, cache: str,
    crops: dict, settings: Settings, machine: Machine,
) -> None:  # fmt: skip
    """Edit the keyframes `names` of one block into the folder `target`, as <name>.png.

    The reference is taken as it is; a keyframe without A (not in `crops`) passes through.
    """
    editor = reader = None
    with replacing(target) as folder:
        folder.mkdir()
        for name, keyframe, mask in zip(names, keyframes, masks, strict=True):
            if name == reference or name not in crops:
                edited = images.read_rgb(picture if name == reference else keyframe)
            else:
                editor = editor or Editor(settings, machine)
                if settings["edit"]["attention"]["share"]:
                    reader = reader or store.Reader(Path(cache), editor.made_with)
                edited = editor.edit(keyframe, mask, crops[name], read=reader)
            images.write_png(folder / f"{name}.png", edited)


class Editor:
    """A Stable Diffusion checkpoint and one edit's settings, loaded once for many keyframes."""

    def __init__(self, settings: Settings, machine: Machine) -> None:
        self.settings, self.options = settings, settings["edit"]
        torch.set_num_threads(machine.threads)
        self.device = torch.device(pick_device(machine.device))
        dtype = torch.float16 if self.device.type == "cuda" else torch.float32
        pipe = load(machine.model, dtype)
        self.vae, self.unet = pipe.vae.to(self.device), pipe.unet.to(self.device)
        self.tokenizer, self.text_encoder = pipe.tokenizer, pipe.text_encoder.to(self.device)
        scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
        self.schedule = sampler.Schedule.of(scheduler, self.options["steps"])
        # Words are encoded once; what is outside has no words of its own.
        self.source_texts = [self.encode(text) for text in ["", *settings["find"]]]
        negative = self.encode(self.options["negative"])
        replace = settings["replace"]
        if not self.options["attention"]["regions"]:  # the whole picture reads all words
            replace = [", ".join(replace)] * len(replace)
        self.texts = [torch.cat([negative, self.encode(text)]) for text in ["", *replace]]
        self.made_with = {"weights": settings["weights"], "timesteps": self.schedule.timesteps, "dtype": str(dtype)}

    def edit(
        self,
        keyframe: str,
        mask: str,
        crop: dict,
        read: Callable[[int], Cache] | None = None,
        write: Callable[[int, Cache], None] | None = None,
    ) -> np.ndarray:
        """The edited keyframe, uint8 RGB [H, W, 3]; from 2 * feather + 1 pixels off the mask it is the source's bits.

        keyframe, mask: paths; crop: {"box", "work"} of plan.json; read, write: the reference's attention.
        """
        picture, labels = images.read_rgb(keyframe), images.read_labels(mask, len(self.settings["find"]))
        width, height = crop["work"]
        shrinks = crop["box"][2] > width
        piece = cv2.resize(cut(picture, crop["box"]), (width, height), interpolation=_filter(shrinks))
        clean = self.to_latent(piece)
        inside = self.latent_labels(cut(labels, crop["box"], "constant"), clean.shape[-2:])
        attention = self.options["attention"]
        switches = {"regions": attention["regions"], "adain": attention["adain"]}
        source = sampler.invert(self.unet, self.schedule, clean, Context(inside, self.source_texts, **switches))
        start = source[0] if self.options["start"] == "inversion" else self.noise(clean)
        context = Context(inside, self.texts, **switches)
        guidance = self.options["guidance"]
        latent = sampler.edit(self.unet, self.schedule, start, source, context, guidance, read, write)
        decoded = cv2.resize(self.to_pixels(latent), tuple(crop["box"][2:]), interpolation=_filter(not shrinks))
        # Wider than the rim that `out` blends over, so that there the result has a single feather.
        rim = self.settings["feather"]
        return paste(picture, decoded, crop["box"], feather(labels > 0, rim, 2 * rim + 1))

    def encode(self, text: str) -> Tensor:
        """The text embedding [1, T, C]."""
        tokens = self.tokenizer(
            text, padding="max_length", truncation=True, max_length=self.tokenizer.model_max_length, return_tensors="pt"
        )
        with torch.no_grad():
            return self.text_encoder(tokens.input_ids.to(self.device))[0]

    @torch.no_grad()
    def to_latent(self, rgb: np.ndarray) -> Tensor:
        """uint8 [H, W, 3] -> scaled float32 latent [1, 4, H / 8, W / 8], the posterior's mean."""
        pixels = torch.from_numpy(rgb.copy()).permute(2, 0, 1)[None].to(self.device, self.vae.dtype) / 127.5 - 1
        return self.vae.encode(pixels).latent_dist.mean.float() * self.vae.config.scaling_factor

    @torch.no_grad()
    def to_pixels(self, latent: Tensor) -> np.ndarray:
        """The inverse: float32 [H, W, 3], 0..255."""
        pixels = self.vae.decode((latent / self.vae.config.scaling_factor).to(self.vae.dtype)).sample[0]
        return ((pixels.float().clamp(-1, 1) + 1) * 127.5).permute(1, 2, 0).cpu().numpy()

    def latent_labels(self, labels: np.ndarray, size: tuple[int, int]) -> Tensor:
        """uint8 [H, W] labels of a crop as int64 [h, w] at latent size."""
        tensor = torch.from_numpy(labels.astype(np.int64)).to(self.device)
        return layer_labels(tensor, tuple(size), len(self.texts))

    def noise(self, like: Tensor) -> Tensor:
        """The same noise for every keyframe, whatever the device."""
        generator = torch.Generator("cpu").manual_seed(self.options["seed"])
        return torch.randn(like.shape, generator=generator).to(like)


def load(folder: str, dtype: torch.dtype) -> StableDiffusionPipeline:
    """A Stable Diffusion checkpoint from a local folder in diffusers' layout."""
    try:
        if not Path(folder).is_dir():  # diffusers would take it for the name of a model on the network
            raise OSError("no such folder")
        pipe = StableDiffusionPipeline.from_pretrained(
            folder, dtype=dtype, local_files_only=True, safety_checker=None, requires_safety_checker=False
        )
        if len(pipe.tokenizer) < pipe.text_encoder.config.vocab_size:  # without its files it has no words, silently
            raise OSError("the tokenizer lacks its vocabulary")
        if pipe.unet.config.in_channels != 4 or pipe.unet.config.addition_embed_type:
            raise OSError("the network is one for inpainting or SDXL, which are not built in yet")
    except (OSError, ValueError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        raise UserError(
            f"models.diffusion: {folder} cannot be loaded as Stable Diffusion in diffusers' layout: {reason}; "
            "name another folder or download it again"
        ) from error
    return pipe


def pick_device(device: str) -> str:
    """`auto` is CUDA where there is one; `cuda` never falls back to the CPU."""
    if device == "cpu" or (device == "auto" and not torch.cuda.is_available()):
        return "cpu"
    if not torch.cuda.is_available():
        raise UserError("runtime.device: cuda, but this machine has no usable CUDA device; set it to auto or cpu")
    return "cuda"


def _filter(shrinks: bool) -> int:
    return cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
