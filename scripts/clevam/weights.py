"""What can be known of a checkpoint, or of any file, without loading it: its fingerprint, its native size."""

import hashlib
import os
from pathlib import Path

from clevam.errors import UserError
from clevam.files import read_json

WHOLE = 8 << 20  # bytes: files up to this size are hashed whole
SAMPLES, SAMPLE = 64, 64 << 10  # of larger files, this many evenly spaced pieces of this many bytes
_WEIGHTS = {".safetensors", ".bin", ".pt", ".pth", ".json", ".txt"}


def fingerprint(path: Path) -> str:
    """12 hex digits that change when a file, or a weight or a setting in a folder, changes, and not when it is touched.

    Large files are sampled, not read whole, so that 4 GB take milliseconds: another checkpoint differs in every sample,
    but a file in which only a few rows were changed by hand may go unnoticed.
    """
    digest = hashlib.sha256()
    for file in _files(path):
        size = file.stat().st_size
        digest.update(f"{file.relative_to(path).as_posix()}\0{size}\0".encode())
        with file.open("rb") as stream:
            if size <= WHOLE:
                digest.update(stream.read())
            else:
                for k in range(SAMPLES):
                    stream.seek((size - SAMPLE) * k // (SAMPLES - 1))
                    digest.update(stream.read(SAMPLE))
    return digest.hexdigest()[:12]


def _files(path: Path) -> list[Path]:
    """The file itself, or a folder's weights and settings, those behind links too (a download cache is all links)."""
    if path.is_file():
        return [path]
    found = (Path(folder, name) for folder, _, names in os.walk(path, followlinks=True) for name in names)
    return sorted(file for file in found if file.suffix in _WEIGHTS and file.is_file())


def native_size(folder: Path) -> tuple[int, int]:
    """(short side the model was trained at, what sides must be multiples of), in pixels, of a diffusers folder."""
    unet, vae = (_config(folder, part) for part in ("unet", "vae"))
    try:
        cell = 2 ** (len(vae["block_out_channels"]) - 1)
        return unet["sample_size"] * cell, cell * 2 ** (len(unet["block_out_channels"]) - 1)
    except (KeyError, TypeError):
        raise UserError(
            f"models.diffusion: {folder}: the config.json of its unet or vae is no such network's"
        ) from None


def _config(folder: Path, part: str) -> dict:
    path = folder / part / "config.json"
    if not path.is_file():
        raise UserError(f"models.diffusion: {folder} is not a Stable Diffusion folder: {part}/config.json is missing")
    try:
        return read_json(path)
    except UserError:
        raise UserError(f"models.diffusion: {path} is damaged; download the model again") from None
