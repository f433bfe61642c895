"""Words to masks by the diffusion model itself: what of a picture it denoises better, and otherwise, for the words.

It is shown noised copies of the picture with the words and without any. Where they name what is there, the error
shrinks (Li et al., Your Diffusion Model is Secretly a Zero-Shot Classifier, ICCV 2023, here for each place) and the
predictions differ (DiffEdit, Couairon et al., ICLR 2023, section 3.2). Either alone also lights up elsewhere.
"""

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from clevam.candidates import Candidates, box_of, overlap
from clevam.diffusion import Diffusion, Machine, Words
from clevam.sampler import Schedule

STEPS, AT = 20, (3, 5, 7, 9, 11)  # noise levels that say most of what is where: not the first, not the finest
COPIES = 4  # of a picture at each level, with other noise
SIDE = 384  # pixels of the longer side of a picture in which outlines are looked for
HIGHER = 0.0, 0.4  # thresholds, from Otsu's to the highest
MOST, LEAST = 6, 0.02  # parts of a picture that may be A, and of the heat of the first, what the others must have
SURE = 0.3  # the share of a part, its brightest, that is surely of the thing
REACH, RING = 0.24, 0.3  # how far a thing may reach beyond its bright part, and how far around it counts, by its size
COLOURS = 5  # groups of them in GrabCut's models, for which there must be as many pixels
ALIKE = 0.7  # overlap of two masks of the same thing


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
        """What each phrase may name in a picture, uint8 RGB [H, W, 3]. A score says how much it stands out."""
        height, width = picture.shape[:2]
        factor = self.size / min(height, width)
        work = [max(1, round(side * factor / self.multiple)) * self.multiple for side in (width, height)]
        piece = cv2.resize(picture, work, interpolation=cv2.INTER_AREA)
        clean = self.model.to_latent(piece)
        # An inpainting network is told that all is covered.
        covered = self.model.channels(piece, torch.ones(clean.shape[-2:], device=clean.device))
        found = [parts(heat, picture) for heat in self.heat(clean, covered, phrases)]
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


def parts(heat: Heat, picture: np.ndarray) -> list[tuple[float, np.ndarray]]:
    """The things of a picture, uint8 RGB [H, W, 3], that light up, the one that stands out the most first: how much it
    does, 0..1, and its mask, bool [H, W]."""
    factor = min(1.0, SIDE / max(picture.shape[:2]))
    small = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    without, worded, difference = (cv2.GaussianBlur(each, (0, 0), 1.0) for each in heat)
    light = np.sqrt(np.clip(without - worded, 0, None) * difference)
    light = cv2.resize(light, small.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    things = [outlined(small, light, part) for part in bright(light)]
    kept: list[tuple[float, np.ndarray]] = []
    for score, mask in sorted([(standing_out(light, mask), mask) for mask in things], key=lambda each: -each[0]):
        if all(overlap(mask, other) < ALIKE for _, other in kept):
            kept.append((score, mask))
    large = picture.shape[1::-1]
    return [(score, cv2.resize(np.float32(mask), large, interpolation=cv2.INTER_LINEAR) > 0.5) for score, mask in kept]


def bright(light: np.ndarray) -> Iterator[np.ndarray]:
    """The connected parts of a heat, float32 [h, w], above Otsu's threshold, where a thing is whole, and above a higher
    one, where two things are two: bool [h, w]."""
    level = np.uint8(255 * np.clip(light / max(float(np.quantile(light, 0.99)), 1e-9), 0, 1))
    threshold, _ = cv2.threshold(level, 0, 255, cv2.THRESH_OTSU)
    for higher in HIGHER:
        _, numbers = cv2.connectedComponents(np.uint8(level > threshold + higher * (255 - threshold)))
        sums = np.bincount(numbers.ravel(), np.clip(light, 0, None).ravel())
        yield from (numbers == n for n in np.argsort(-sums)[:MOST] if n and sums[n] >= LEAST * sums[1:].max())


def outlined(picture: np.ndarray, light: np.ndarray, part: np.ndarray) -> np.ndarray:
    """The thing that a bright part, bool [h, w], lies on: cut out along the picture's edges by the colours of where it
    is brightest (GrabCut, Rother et al., SIGGRAPH 2004). The part itself if there are too few pixels for that."""
    reach = max(1, round(REACH * np.sqrt(part.sum())))
    around = widened(part, reach)
    brightest = part & (light >= np.quantile(light[part], 1 - SURE))
    classes = np.select([brightest, part, around], [cv2.GC_FGD, cv2.GC_PR_FGD, cv2.GC_PR_BGD], cv2.GC_BGD)
    x0, y0, x1, y1 = box_of(widened(around, reach))
    here = np.s_[y0:y1, x0:x1]
    classes = np.ascontiguousarray(classes[here], np.uint8)
    if np.isin(classes, (cv2.GC_BGD, cv2.GC_PR_BGD)).sum() < COLOURS or brightest.sum() < COLOURS:
        return part
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)  # its groups of colours start by chance
    cv2.grabCut(np.ascontiguousarray(picture[here]), classes, None, *models, 3, cv2.GC_INIT_WITH_MASK)
    _, numbers = cv2.connectedComponents(classes & 1)
    result = np.zeros_like(part)
    result[here] = numbers == np.bincount(numbers[brightest[here]]).argmax()
    return result


def standing_out(light: np.ndarray, mask: np.ndarray) -> float:
    """How much brighter it is in a mask than around it, 0..1: 1 if light is there and nowhere else. Of two that are as
    bright the larger one stands out more, since chance makes small spots."""
    ring = widened(mask, max(1, round(RING * np.sqrt(mask.sum())))) & ~mask
    if not ring.any():
        return 0.0
    share = mask.mean()
    contrast = light[mask].mean() - light[ring].mean()
    return float(np.clip(contrast * np.sqrt(share * (1 - share)) / max(light.std(), 1e-9), 0, 1))


def widened(mask: np.ndarray, pixels: int) -> np.ndarray:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))
    return cv2.dilate(np.uint8(mask), disc) > 0
