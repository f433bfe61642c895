"""What can be known of a checkpoint folder without loading it: its fingerprint and its native size."""

import hashlib
from pathlib import Path

from clevam.errors import UserError
from clevam.files import read_json

WHOLE = 8 << 20  # bytes: files up to this size are hashed whole
SAMPLES, SAMPLE = 64, 64 << 10  # of larger files, this many evenly spaced pieces of this many bytes
_WEIGHTS = {".safetensors", ".bin", ".pt", ".pth", ".json", ".txt"}


def fingerprint(folder: Path) -> str:
    """12 hex digits that change when a weight or a setting in the folder changes, and not when files are touched.

    Large files are sampled, not read whole, so that 4 GB take milliseconds: another checkpoint differs in every sample,
    but a file in which only a few rows were changed by hand may go unnoticed.
    """
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix in _WEIGHTS):
        size = path.stat().st_size
        digest.update(f"{path.relative_to(folder).as_posix()}\0{size}\0".encode())
        with path.open("rb") as stream:
            if size <= WHOLE:
                digest.update(stream.read())
            else:
                for k in range(SAMPLES):
                    stream.seek((size - SAMPLE) * k // (SAMPLES - 1))
                    digest.update(stream.read(SAMPLE))
    return digest.hexdigest()[:12]


def native_size(folder: Path) -> tuple[int, int]:
    """(short side the model was trained at, what sides must be multiples of), in pixels, of a diffusers folder."""
    unet, vae = (_config(folder, part) for part in ("unet", "vae"))
    cell = 2 ** (len(vae["block_out_channels"]) - 1)
    return unet["sample_size"] * cell, cell * 2 ** (len(unet["block_out_channels"]) - 1)


def _config(folder: Path, part: str) -> dict:
    path = folder / part / "config.json"
    if not path.is_file():
        raise UserError(f"models.diffusion: {folder} is not a Stable Diffusion folder: {part}/config.json is missing")
    return read_json(path)
