"""Words to masks by the diffusion model itself: what of a picture it denoises better, and otherwise, for the words.

It is shown noised copies of the picture with the words and without any. Where they name what is there, the error
shrinks (Li et al., Your Diffusion Model is Secretly a Zero-Shot Classifier, ICCV 2023, here for each place) and the
predictions differ (DiffEdit, Couairon et al., ICLR 2023, section 3.2). Either alone also lights up elsewhere.
"""

from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from clevam.candidates import Candidates, box_of
from clevam.diffusion import Diffusion, Machine, Words
from clevam.sampler import Schedule

STEPS, AT = 20, (3, 5, 7, 9, 11)  # noise levels that say most of what is where: not the first, not the finest
COPIES = 4  # of a picture at each level, with other noise
MOST, LEAST = 6, 0.02  # parts of a picture that may be A, and of the heat of the first, what the others must have


class Heat(NamedTuple):
    """Mean squares over copies and levels, float32 [h, w] each: the error without words, that with them, the
    difference of the two predictions."""

    without: np.ndarray
    worded: np.ndarray
    difference: np.ndarray


class Attribution:
    """A diffusion model, loaded once for many pictures."""

    def __init__(self, machine: Machine, size: int, multiple: int, **options: object) -> None:
        """size, multiple: of the short side that the model sees, in pixels, and what sides must be multiples of;
        options: diffusion.Diffusion's."""
        self.model, self.size, self.multiple = Diffusion(machine, **options), size, multiple
        self.schedule = Schedule.of(self.model.scheduler, STEPS)

    def __call__(self, picture: np.ndarray, phrases: list[str]) -> Candidates:
        """What each phrase may name in a picture, uint8 RGB [H, W, 3]. A score is the share of the error that the words
        take away there."""
        height, width = picture.shape[:2]
        factor = self.size / min(height, width)
        work = [max(1, round(side * factor / self.multiple)) * self.multiple for side in (width, height)]
        piece = cv2.resize(picture, work, interpolation=cv2.INTER_AREA)
        clean = self.model.to_latent(piece)
        # An inpainting network is told that all is covered.
        covered = self.model.channels(piece, torch.ones(clean.shape[-2:], device=clean.device))
        found = [parts(heat, (width, height)) for heat in self.heat(clean, covered, phrases)]
        each = [(region, score, mask) for region, of in enumerate(found) for score, mask in of]
        return Candidates(
            np.array([region for region, *_ in each], np.int64),
            np.array([score for _, score, _ in each], np.float32),
            np.array([box_of(mask) for *_, mask in each], np.float32).reshape(-1, 4),
            np.array([mask for *_, mask in each], bool).reshape(-1, height, width),
        )

    @torch.no_grad()
    def heat(self, clean: Tensor, covered: Tensor | None, phrases: list[str]) -> list[Heat]:
        """How the words of each phrase change what is predicted of a clean latent [1, 4, h, w].

        covered: Diffusion.channels.
        """
        generator, sums = torch.Generator("cpu").manual_seed(0), []
        words = [self.model.encode(text) for text in ("", *phrases)]
        for i in AT:
            noise = torch.randn((COPIES, *clean.shape[1:]), generator=generator).to(clean)
            noised = self.schedule.noised(clean, noise)[i]
            without, *worded = (self.predict(noised, covered, each, i) - noise for each in words)
            scale = 1 / self.schedule.levels[i]  # as of velocities, so that no level outweighs the others
            squares = [[scale * (x**2).mean((0, 1)) for x in (without, each, without - each)] for each in worded]
            sums.append(torch.stack([torch.stack(of) for of in squares]))
        return [Heat(*of) for of in torch.stack(sums).mean(0).float().cpu().numpy()]

    def predict(self, noised: Tensor, covered: Tensor | None, words: Words, i: int) -> Tensor:
        """The noise that the network sees in latents [COPIES, 4, h, w] at level i."""
        model, copies = self.model, len(noised)
        given = noised if covered is None else torch.cat([noised, covered.expand(copies, -1, -1, -1)], 1)
        added = model.added([words.pooled] * copies, [side * model.cell for side in noised.shape[-2:]])
        output = model.unet(
            given.to(words.embedding.dtype),
            self.schedule.timesteps[i],
            encoder_hidden_states=words.embedding.expand(copies, -1, -1),
            added_cond_kwargs=added,
        ).sample
        return self.schedule.noise(output.to(noised.dtype), noised, i)


def parts(heat: Heat, size: tuple[int, int]) -> list[tuple[float, np.ndarray]]:
    """The connected parts of a picture of `size` (width, height) that light up, the brightest first: the share of the
    error that the words take away there, 0..1, and a mask, bool [H, W]."""
    without, worded, difference = (cv2.GaussianBlur(each, (0, 0), 1.0) for each in heat)
    gain = np.clip(without - worded, 0, None)
    light = cv2.resize(np.sqrt(gain * difference), size, interpolation=cv2.INTER_CUBIC)
    level = np.uint8(255 * np.clip(light / max(float(np.quantile(light, 0.99)), 1e-9), 0, 1))
    threshold, _ = cv2.threshold(level, 0, 255, cv2.THRESH_OTSU)
    _, numbers = cv2.connectedComponents(np.uint8(level > threshold))
    sums = np.bincount(numbers.ravel(), light.ravel())
    order = [n for n in np.argsort(-sums) if n and sums[n] >= LEAST * sums[1:].max()][:MOST]
    gain, without = (cv2.resize(each, size, interpolation=cv2.INTER_LINEAR) for each in (gain, without))
    masks = {n: numbers == n for n in order}
    return [(float(gain[mask].sum() / max(without[mask].sum(), 1e-9)), mask) for mask in masks.values()]
