"""Where A is: label maps for the keyframes, 0 for the background and 1..N for the regions."""

from collections.abc import Mapping, Sequence

import numpy as np
from tqdm import tqdm

from clevam import candidates, images
from clevam.candidates import Candidates
from clevam.files import replacing
from clevam.shapes import Tools


def write(
    found: str, target: str, *, chosen: Mapping[str, Sequence[Sequence[int]]], labels: Sequence[int], tools: Tools
) -> None:
    """Write the label maps of keyframes into the folder `target`, as <name>.png.

    found: the folder of their candidates; chosen: of every keyframe the numbers of each region's; labels: of the
    regions, from back to front, 0 for one that only keeps what is behind it; tools: for each region's mask.
    """
    with replacing(target) as folder:
        folder.mkdir()
        for name, numbers in tqdm(chosen.items(), desc="masks", unit="keyframe"):
            drawn = draw(candidates.read(f"{found}/{name}.npz"), numbers, labels, tools)
            images.write_labels(folder / f"{name}.png", drawn, max(labels))


def draw(found: Candidates, chosen: Sequence[Sequence[int]], labels: Sequence[int], tools: Tools) -> np.ndarray:
    """The label map, uint8 [H, W], of the chosen candidates."""
    result = np.zeros(found.masks.shape[1:], np.uint8)
    for label, numbers in zip(labels, chosen, strict=True):
        if numbers:
            result[tools(found.masks[list(numbers)].any(0))] = label
    return result
