"""Keyframes and label maps as PNG files."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from clevam.errors import UserError
from clevam.files import MEMBERS, replacing

# What a picture may be. Not what others decode: for an EPS, Pillow would start Ghostscript.
KINDS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF")


def read_rgb(path: str | Path, size: tuple[int, int] | None = None) -> np.ndarray:
    """A picture as uint8 [H, W, 3] RGB; UserError if it is not of `size` (width, height)."""
    return np.asarray(_open(path, size).convert("RGB"))


def read_alpha(path: str | Path) -> np.ndarray | None:
    """How opaque a picture is, float64 [H, W] in 0..1; None if it is all opaque or says nothing of it."""
    image = _open(path, None)
    if not image.has_transparency_data:
        return None
    alpha = np.asarray(image.convert("RGBA"))[..., 3] / 255
    return None if alpha.min() == 1 else alpha


def read_labels(path: str | Path, regions: int, size: tuple[int, int] | None = None) -> np.ndarray:
    """A label map as uint8 [H, W], 0..regions.

    Its values are the labels, or near evenly spaced levels from 0 to 255 (black and white for one region).
    """
    image = _open(path, size)
    values = np.asarray(image if image.mode in ("L", "P") else image.convert("L"))
    if values.max(initial=0) <= regions:
        return values
    labels = labels_of_levels(values, regions, str(path))
    if not labels.any():  # say, label 2 of a map for two regions, where there is one
        raise UserError(f"{path}: holds the value {values.max()}, which is no label up to {regions} and far from white")
    return labels


def labels_of_levels(gray: np.ndarray, regions: int, where: str) -> np.ndarray:
    """uint8 [H, W] labels 0..N from uint8 values near N + 1 evenly spaced levels from 0 to 255."""
    step, values = 255 / regions, np.arange(256)
    labels = np.rint(values / step)
    far = np.abs(values - labels * step) > 0.4 * step
    if regions > 1 and far[gray].any():
        raise UserError(
            f"{where}: holds other values than labels 0 to {regions}, or {regions + 1} even steps of 0 to 255"
        )
    return labels.astype(np.uint8)[gray]


def write_png(path: str | Path, pixels: np.ndarray) -> None:
    """Write uint8 [H, W, 3] RGB or [H, W] gray. Equal pixels give equal bytes."""
    with replacing(path) as part:
        Image.fromarray(pixels).save(part, format="PNG", compress_level=4)


def write_labels(path: str | Path, labels: np.ndarray, regions: int) -> None:
    """Write uint8 [H, W] labels as a palette picture: its values are the labels, to the eye they run black to white.

    So it can be retouched: `read_labels` also takes it in gray or in colour.
    """
    levels = np.rint(np.arange(regions + 1) * (255 / regions)).astype(np.uint8)
    with replacing(path) as part:
        image = Image.fromarray(labels).convert("L")
        image.putpalette(np.repeat(levels, 3).tobytes())
        image.save(part, format="PNG", compress_level=4)


def _cure(path: str | Path, otherwise: str) -> str:
    """For a picture in a folder of results, which is made as a whole."""
    folder = Path(path).parent
    return f"; delete the folder {folder} and run again" if (folder / MEMBERS).exists() else otherwise


def _open(path: str | Path, size: tuple[int, int] | None) -> Image.Image:
    """Nothing is decoded of a picture that is too large, or of another size than it should be."""
    if not Path(path).exists():
        raise UserError(f"{path}: no such picture{_cure(path, '')}")
    try:
        if not Path(path).is_file():  # a pipe would be waited for
            raise OSError
        with warnings.catch_warnings(action="error", category=Image.DecompressionBombWarning):
            image = Image.open(path, formats=KINDS)
        with image:
            if size and image.size != tuple(size):
                found, wanted = ("x".join(map(str, s)) for s in (image.size, size))
                raise UserError(f"{path}: is {found}, but the upright video is {wanted}")
            image.verify()  # the sums of a PNG, which are not looked at when its pixels are read
        with Image.open(path, formats=KINDS) as image:
            image.load()
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise UserError(f"{path}: has more than {Image.MAX_IMAGE_PIXELS:,} pixels; make it smaller") from None
    except (UserError, MemoryError):
        raise
    except Exception:  # of another kind, cut off, or damaged in one of many ways
        cure = _cure(path, "; save it as PNG, or delete it and run again")
        raise UserError(f"{path}: not a picture that can be read{cure}") from None
    return image
