"""Painting B into the keyframes: the reference first, every other one while looking at the reference's attention."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from clevam import images, sampler, store
from clevam.attention import Cache, Context, layer_labels
from clevam.diffusion import Diffusion, Machine
from clevam.files import replacing
from clevam.geometry import cut, feather, paste

# Of an edit: find, replace, feather, edit (config.Edit), dtype, tiling (config.Runtime), variant (config.Models), and
# weights, the fingerprint of the checkpoint.
Settings = dict


@dataclass(frozen=True)
class Keyframe:
    """A keyframe with A in it: the paths of its picture and mask, and its crop, {"box", "work"} of plan.json."""

    picture: str
    mask: str
    crop: dict


@dataclass(frozen=True)
class Opened:
    """A keyframe in memory: its picture, uint8 RGB [H, W, 3], and labels, uint8 [H, W]; of its crop the piece that the
    model works on, uint8 RGB at work size, the latent of it, and inside, its labels at latent size."""

    picture: np.ndarray
    labels: np.ndarray
    box: list[int]
    piece: np.ndarray
    latent: Tensor
    inside: Tensor


def reference(keyframe: Keyframe, picture: str, cache: str, *, settings: Settings, machine: Machine) -> None:
    """Edit the reference keyframe; write it as PNG to `picture` and its attention into the folder `cache`."""
    editor = Editor(settings, machine)
    with replacing(cache) as folder:
        folder.mkdir()
        writer = store.Writer(folder, editor.made_with) if settings["edit"]["attention"]["share"] else None
        (edited,) = editor.edit([keyframe], write=writer)
        images.write_png(picture, edited)


def block(
    keyframes: dict[str, Keyframe], target: str, *, untouched: dict[str, str], cache: str, settings: Settings,
    machine: Machine,
) -> None:  # fmt: skip
    """Write the pictures of one block into the folder `target`, as <name>.png.

    keyframes: those to edit; untouched: pictures that are taken as they are, keyframes without A and the reference.
    """
    with replacing(target) as folder:
        folder.mkdir()
        for name, picture in untouched.items():
            images.write_png(folder / f"{name}.png", images.read_rgb(picture))
        if not keyframes:
            return
        editor = Editor(settings, machine)
        shares = settings["edit"]["attention"]["share"]
        reader = store.Reader(Path(cache), editor.made_with) if shares else None
        for names in together(keyframes, machine.batch):
            edited = editor.edit([keyframes[name] for name in names], read=reader)
            for name, picture in zip(names, edited, strict=True):
                images.write_png(folder / f"{name}.png", picture)


def together(keyframes: dict[str, Keyframe], batch: int) -> Iterator[list[str]]:
    """Names of keyframes that go through the network at once: at most `batch`, of one size, in their order."""
    for _, group in groupby(keyframes, lambda name: keyframes[name].crop["work"]):
        names = list(group)
        yield from (names[i : i + batch] for i in range(0, len(names), batch))


class Editor:
    """A checkpoint and one edit's settings, loaded once for many keyframes."""

    def __init__(self, settings: Settings, machine: Machine) -> None:
        self.settings, self.options = settings, settings["edit"]
        self.model = Diffusion(machine, settings["dtype"], settings["tiling"], settings["variant"])
        self.schedule = sampler.Schedule.of(self.model.scheduler, self.options["steps"])
        self.attention = {key: self.options["attention"][key] for key in ("regions", "adain")}
        # Words are encoded once; what is outside has no words of its own.
        encode, replace = self.model.encode, settings["replace"]
        negative, all_find, all_replace = (
            encode(self.options["negative"], negative=True), encode(", ".join(settings["find"])),
            encode(", ".join(replace)),
        )  # fmt: skip
        self.source_texts = [encode(text).embedding for text in ["", *settings["find"]]]
        wanted = [encode(text) for text in replace] if self.attention["regions"] else [all_replace] * len(replace)
        self.texts = [torch.cat([negative.embedding, words.embedding]) for words in [encode(""), *wanted]]
        self.source_pooled, self.pooled = [all_find.pooled], [negative.pooled, all_replace.pooled]
        self.made_with = {
            "weights": settings["weights"],
            "timesteps": self.schedule.timesteps,
            "dtype": str(self.model.dtype),
        }

    def edit(
        self,
        keyframes: list[Keyframe],
        read: Callable[[int], Cache] | None = None,
        write: Callable[[int, Cache], None] | None = None,
    ) -> list[np.ndarray]:
        """The edited keyframes, uint8 RGB [H, W, 3]; from 2 * feather + 1 pixels off the mask on, the source's bits.

        All crops have one `work` size. read, write: the reference's attention.
        """
        opened = [self.open(keyframe) for keyframe in keyframes]
        clean = torch.cat([one.latent for one in opened])
        width, height = keyframes[0].crop["work"]
        model, source_contexts, contexts = self.model, [], []
        added = [model.added(pooled, (height, width)) for pooled in (self.source_pooled, self.pooled)]
        for one in opened:
            given = self.attention | {"channels": model.channels(one.piece, one.inside)}
            source_contexts.append(Context(one.inside, self.source_texts, added=added[0], **given))
            contexts.append(Context(one.inside, self.texts, added=added[1], **given))
        source = sampler.invert(model.unet, self.schedule, clean, source_contexts)
        start = source[0] if self.options["start"] == "inversion" else self.noise(clean)
        guidance = self.options["guidance"]
        latents = sampler.edit(model.unet, self.schedule, start, source, contexts, guidance, read, write)
        return [self.close(one, model.to_pixels(z[None])) for one, z in zip(opened, latents, strict=True)]

    def open(self, keyframe: Keyframe) -> Opened:
        """Read a keyframe and prepare it for the model."""
        picture = images.read_rgb(keyframe.picture)
        labels = images.read_labels(keyframe.mask, len(self.settings["find"]))
        box, (width, height) = keyframe.crop["box"], keyframe.crop["work"]
        piece = cv2.resize(cut(picture, box), (width, height), interpolation=_filter(box[2] > width))
        latent = self.model.to_latent(piece)
        inside = self.latent_labels(cut(labels, box, "constant"), latent.shape[-2:])
        return Opened(picture, labels, box, piece, latent, inside)

    def close(self, opened: Opened, painted: np.ndarray) -> np.ndarray:
        """The whole keyframe with the painted crop, float32 RGB at work size, in its place."""
        box = opened.box
        painted = cv2.resize(painted, tuple(box[2:]), interpolation=_filter(box[2] < painted.shape[1]))
        # Wider than the rim that `out` blends over, so that there the result has a single feather.
        rim = self.settings["feather"]
        return paste(opened.picture, painted, box, feather(opened.labels > 0, rim, 2 * rim + 1))

    def latent_labels(self, labels: np.ndarray, size: tuple[int, int]) -> Tensor:
        """uint8 [H, W] labels of a crop as int64 [h, w] at latent size."""
        tensor = torch.from_numpy(labels.astype(np.int64)).to(self.model.device)
        return layer_labels(tensor, tuple(size), len(self.texts))

    def noise(self, like: Tensor) -> Tensor:
        """The same noise for every keyframe, whatever the device."""
        generator = torch.Generator("cpu").manual_seed(self.options["seed"])
        return torch.randn(like.shape[1:], generator=generator).to(like).expand_as(like)


def _filter(shrinks: bool) -> int:
    return cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
