"""What the demo's Stable Diffusion learns from: pictures of the world in its own words, whole scenes and close-ups."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from grounds import GROUNDS
from shots import Motion, fixed
from things import SAME, with_article
from world import Scene, still


class Shown(NamedTuple):
    """A square picture and what is in it."""

    picture: np.ndarray  # RGB uint8 [side, side, 3]
    things: np.ndarray  # bool [side, side], where its objects are
    caption: str


def picture(seed: int, side: int, near: bool = False) -> Shown:
    """A still, or as often a close-up; near: always one, its object 50 to 90 % of the side, mostly the whole of it."""
    rng = np.random.default_rng([seed, 2])
    if rng.uniform() < 0.5 or near:
        scene, caption = close_up(seed, side, (0.5, 0.9) if near else (0.3, 0.7))
        image, labels = scene.frame(0), scene.labels(0)
    else:
        image, labels, _, caption, *_ = still(seed, (side, side))
    return Shown(image, labels > 0, reworded(rng, caption))


def reworded(rng: np.random.Generator, text: str) -> str:
    """The same, now and then with another word for a shape."""
    for other, word in SAME.items():
        text = text.replace(word, other) if rng.uniform() < 0.3 else text
    return text


def close_up(seed: int, side: int, shares: tuple[float, float]) -> tuple[Scene, str]:
    """A scene of one frame of which one object fills these shares of the side, as an edit crops to its mask.

    It goes by its own name, with the place or without; what else there is of the scene is not told.
    """
    rng = np.random.default_rng([seed, 3])
    objects = int(rng.choice([1, 1, 1, 2]))  # mostly alone: one name is one object
    scene = Scene.random(seed, (side, side), frames=1, objects=objects, diameter=(0.25, 0.5), camera=False)
    k = int(rng.integers(1, objects + 1))
    (shot,) = scene.shots
    there = shot.layers[k].motion.at(0)
    share = rng.uniform(*shares)
    zoom = share / 2 / abs(there.gain)
    offset = complex(*rng.uniform(-0.5, 0.5, 2)) * (1 - share) * 0.8
    camera = Motion(fixed(offset - zoom * there.centre), fixed(complex(np.log(zoom))))
    near = replace(scene, shots=(replace(shot, camera=camera),))
    name = scene.things[k - 1].name
    phrase = with_article(name) if rng.uniform() < 0.75 else f"the {name}"
    return near, f"{phrase} {GROUNDS[shot.kind].place}" if rng.uniform() < 0.5 else phrase
