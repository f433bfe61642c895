"""Edits of the same keyframes with other values, side by side: a table and a contact sheet."""

import csv
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageDraw
from tqdm import tqdm

from clevam import images
from clevam.files import replacing
from clevam.geometry import cut

SIDE, TITLE, MOST = 160, 16, 8  # pixels of a crop's longer side and of a title; crops in a row


def write(
    keyframes: Sequence[str], masks: Sequence[str], edited: Mapping[str, Sequence[str]],
    values: Mapping[str, Mapping[str, Any]], crops: Sequence[dict | None], *, sheet: str, table: str,
) -> None:  # fmt: skip
    """Write the PNG `sheet` and the TSV `table`.

    keyframes, masks: paths of the source's; edited: of each trial's; values: what each trial has set; crops: those of
    the keyframes in plan.json, None where there is no A.
    """
    shown = [n for n, crop in enumerate(crops) if crop]
    inside = {n: images.read_labels(masks[n], 255) > 0 for n in shown}
    source = {n: images.read_rgb(keyframes[n]) for n in shown}
    chosen = [shown[n] for n in np.unique(np.linspace(0, len(shown) - 1, MOST).round().astype(int))]
    rows = {"the source": [cut(source[n], crops[n]["box"]) for n in chosen]}
    lines = []
    for name, paths in tqdm(edited.items(), desc="trials", unit="trial"):
        pictures = {n: images.read_rgb(paths[n]) for n in shown}
        lines.append(dict(values[name]) | measured(source, pictures, inside) | {"seconds": seconds(name)})
        title = ", ".join(f"{key}: {value}" for key, value in values[name].items())
        rows[title] = [cut(pictures[n], crops[n]["box"]) for n in chosen]
    with replacing(sheet) as part:
        drawn(rows).save(part, format="PNG")
    with replacing(table) as part, part.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, lines[0], delimiter="\t")
        writer.writeheader()
        writer.writerows(lines)


def measured(
    source: Mapping[int, np.ndarray], edited: Mapping[int, np.ndarray], inside: Mapping[int, np.ndarray]
) -> dict[str, str]:
    """What an edit did inside the masks, in Lab units, of keyframes uint8 RGB [H, W, 3] by number.

    changed: mean distance from the source; spread: of the mean colour over the keyframes; steps: mean distance of the
    mean colours of two neighbours.
    """
    told = {n: (lab(edited[n])[inside[n]], lab(source[n])[inside[n]]) for n in edited if inside[n].any()}
    changed = np.mean([np.linalg.norm(after - before, axis=1).mean() for after, before in told.values()])
    means = np.array([after.mean(0) for after, _ in told.values()])
    spread = np.linalg.norm(means.std(0))
    steps = np.mean([np.linalg.norm(b - a) for a, b in pairwise(means)] or [0.0])
    return {"changed": f"{changed:.2f}", "spread": f"{spread:.2f}", "steps": f"{steps:.2f}"}


def lab(rgb: np.ndarray) -> np.ndarray:
    """uint8 RGB to CIE Lab, float32 [H, W, 3]."""
    return cv2.cvtColor(np.float32(rgb) / 255, cv2.COLOR_RGB2LAB)


def seconds(job: str) -> str:
    """How long the jobs that painted it took together, by Snakemake's benchmarks; empty where there are none."""
    files = [Path(f"benchmarks/reference/{job}.tsv"), *Path("benchmarks/edit").joinpath(job).glob("*.tsv")]
    lines = (file.read_text().splitlines() for file in files if file.exists())
    times = [float(next(csv.DictReader(each, delimiter="\t"))["s"]) for each in lines]
    return f"{sum(times):.1f}" if times else ""


def drawn(rows: Mapping[str, Sequence[np.ndarray]]) -> Image.Image:
    """Crops in titled rows."""
    height = SIDE + TITLE
    sheet = Image.new("RGB", (max(map(len, rows.values())) * SIDE, len(rows) * height), "white")
    pen = ImageDraw.Draw(sheet)
    for y, (title, crops) in enumerate(rows.items()):
        pen.text((4, y * height + 2), title, "black")
        for x, crop in enumerate(crops):
            image = Image.fromarray(crop)
            image = image.resize([max(1, round(SIDE * side / max(image.size))) for side in image.size])
            sheet.paste(image, (x * SIDE, y * height + TITLE))
    return sheet
