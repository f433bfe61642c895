"""What trained networks see of a result: LPIPS of what should have stayed, CLIP of what should have changed."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import normalize
from tqdm import tqdm

from clevam import metrics, proxies
from clevam.errors import UserError
from clevam.figures import EVERY
from clevam.files import write_json
from clevam.geometry import bounding, cut, grow
from clevam.measure import Frame, Masks, Pairs
from clevam.uncompiled import uncompiled

with uncompiled():
    from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity
    from transformers import CLIPModel, CLIPProcessor

LONGEST, LEAST = 512, 64  # pixels of the pictures that LPIPS compares: its networks leave nothing of smaller ones
LPIPS_NETWORKS = {"SqueezeNet": "squeeze", "AlexNet": "alex", "VGG": "vgg"}
ROOM = 1 / 8  # of the longer side of A, around it where CLIP looks at it alone


class Eye(Protocol):
    """Takes the frames of a source and its result in their order."""

    names: Sequence[str]  # of figures.LEARNT

    def look(self, frame: Frame, labels: np.ndarray) -> Mapping[str, float]:
        """The values of a frame, those that it has; labels: uint8 [H, W], 0 where A is not."""


def perceive(source: str, result: str, target: str, *, index: dict, masks: Masks, eyes: Sequence[Eye]) -> None:
    """Write {"series", "summary"} of all that `eyes` see as JSON to `target`; frames are paired by number."""
    series = {name: [] for eye in eyes for name in eye.names}
    for frame in tqdm(Pairs(source, result, index), total=len(index["pts"]), desc="perceive", unit="frame"):
        labels, seen = masks.at(frame.number), {}
        for eye in eyes:
            seen |= eye.look(frame, labels)
        for name, values in series.items():
            values.append(seen.get(name))
    write_json(target, metrics.told(series))


class Lpips:
    """Zhang et al. (CVPR 2018), as torchmetrics computes it, with a backbone from torch.hub's cache.

    weights: torchvision's name of them, config.Models.lpips.
    """

    names = ("lpips",)

    def __init__(self, weights: str, device: torch.device) -> None:
        network = next(net for name, net in LPIPS_NETWORKS.items() if weights.startswith(name))
        try:
            measure = LearnedPerceptualImagePatchSimilarity(net_type=network, normalize=True)
        except Exception as error:  # unpicklers and zip readers have a dozen ways to say that bytes are not theirs
            raise UserError(f"models.lpips: {weights}: its file is damaged; delete it and fetch again") from error
        self.measure, self.device = measure.to(device), device

    @torch.no_grad()
    def look(self, frame: Frame, labels: np.ndarray) -> dict[str, float]:
        if frame.number % EVERY or min(labels.shape) < LEAST:
            return {}
        both = (metrics.blanked(picture, labels > 0) for picture in (frame.before, frame.after))
        pictures = (proxies.shrunk(picture, LONGEST) for picture in both)
        tensors = (torch.from_numpy(p).movedim(-1, 0)[None].to(self.device) / 255 for p in pictures)
        return {"lpips": 1000 * float(self.measure(*tensors))}


class Clip:
    """Radford et al. (ICML 2021): cosines of what its two networks make of pictures and of words.

    folder: a CLIP in transformers' layout; words: what each region becomes.
    """

    names = ("clip_text", "clip_text_region", "clip_frames")

    @uncompiled()
    def __init__(self, folder: str, words: Sequence[str], device: torch.device) -> None:
        try:
            self.model = CLIPModel.from_pretrained(folder, local_files_only=True).eval().to(device)
            self.processor = CLIPProcessor.from_pretrained(folder, local_files_only=True)
            self.whole, *self.each = self.read([", ".join(words), *words])
        except Exception as error:
            raise UserError(f"models.clip: {folder} is no CLIP in transformers' layout, or damaged") from error
        self.last = None

    @torch.no_grad()
    def read(self, words: Sequence[str]) -> torch.Tensor:
        """Unit vectors [N, D] of texts; what is longer than the network reads is cut off."""
        inputs = self.processor(text=words, padding=True, truncation=True, return_tensors="pt").to(self.model.device)
        return normalize(self.model.get_text_features(**inputs).pooler_output)

    @torch.no_grad()
    def see(self, pictures: Sequence[np.ndarray]) -> torch.Tensor:
        """Unit vectors [N, D] of pictures uint8 RGB [H, W, 3]."""
        inputs = self.processor(images=[*map(Image.fromarray, pictures)], return_tensors="pt").to(self.model.device)
        return normalize(self.model.get_image_features(**inputs).pooler_output)

    def look(self, frame: Frame, labels: np.ndarray) -> dict[str, float]:
        boxes = {n: box for n in range(1, len(self.each) + 1) if (box := bounding(labels == n))}
        whole, *parts = self.see([frame.after, *(around(frame.after, box) for box in boxes.values())])
        told = {"clip_text": float(whole @ self.whole)}
        if parts:
            cosines = [float(part @ self.each[label - 1]) for label, part in zip(boxes, parts, strict=True)]
            told["clip_text_region"] = float(np.mean(cosines))
        if self.last is not None:
            told["clip_frames"] = float(whole @ self.last)
        self.last = whole
        return told


def around(picture: np.ndarray, box: list[int]) -> np.ndarray:
    """A region with some room, uint8 RGB."""
    return cut(picture, grow(box, ceil(ROOM * max(box[2:])), picture.shape[1::-1]))
