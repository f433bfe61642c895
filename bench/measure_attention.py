"""What `bench-attention` measures in the edit environment, at the layer shapes of Stable Diffusion 1.5 at 512 x 512.

python bench/measure_attention.py quick|full    # figures as JSON on the last line
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from clevam import store
from clevam.attention import Cache, Context, Options, Processor, heads, installed
from clevam.sampler import predict

EARLY = 0.6  # share of the steps in which regions are apart and share
DEFAULTS = {"layers": ("all",), "isolated": (0, EARLY), "shared": (0, EARLY)}  # the configuration's
LAYER = "up_blocks.3.attentions.0.transformer_blocks.0.attn1"
LEVELS = {"4096": (64, 320), "1024": (32, 640)}  # (side, channels) by tokens
SHARES = (0.15, 0.25, 0.5)  # of the picture that the mask covers
HEADS, STEPS, REPEATS = 8, 50, 5


def disc(side: int, share: float) -> Tensor:
    """int64 [side, side]: 1 in a disc that covers a share of the picture."""
    axis = torch.linspace(-1, 1, side)
    away = axis[:, None] ** 2 + axis[None] ** 2
    return (away <= away.flatten().kthvalue(round(share * side * side)).values).long()


def alternate(*runs: Callable[[], object], repeats: int = REPEATS) -> list[float]:
    """The median seconds of each, run by turns, so that whatever else the machine does hits all alike."""
    times = [[] for _ in runs]
    for turn in range(repeats + 1):
        for run, measured in zip(runs, times, strict=True):
            start = time.perf_counter()
            run()
            if turn:  # the first one warms up
                measured.append(time.perf_counter() - start)
    return [sorted(measured)[len(measured) // 2] for measured in times]


@torch.no_grad()
def layer_ratio(side: int, channels: int, share: float) -> float:
    """Time of region attention with a shared reference, by that of one masked attention over own and reference.

    The reference's object is a fifth smaller, so its logits are raised; both as the defaults have it. That both say
    the same is tested without.
    """
    same = nn.Identity()
    attn = SimpleNamespace(to_q=same, to_k=same, to_v=same, to_out=[same, same], heads=HEADS)
    hidden, seen = torch.randn(2, side * side, channels), torch.randn(2, side * side, channels)
    own, other, texts = disc(side, share), disc(side, 0.8 * share), [torch.zeros(2, 1, 1)] * 2
    flat, flat_other = own.flatten().bool(), other.flatten().bool()
    mask = torch.cat([flat[:, None] == flat[None], flat[:, None] & flat_other[None]], 1)

    def processor(labels: Tensor, options: Options, **roles: Cache | list[Cache]) -> Processor:
        made = Processor(LAYER, [Context(labels, texts, options, **roles)])
        made.size = (side, side)
        return made

    def gathered(options: Options) -> Processor:
        cache = {}
        processor(other, options, write=cache)(attn, seen)
        return processor(own, options, read=[cache])

    def dense() -> Tensor:
        q, k, k_ref = (heads(x, HEADS) for x in (hidden, hidden, seen))
        both = torch.cat([k, k_ref], 2)
        return F.scaled_dot_product_attention(q, both, both, attn_mask=mask).transpose(1, 2).flatten(2)

    plain = gathered(Options(adain=False, balance=False))(attn, hidden)
    torch.testing.assert_close(plain, dense(), atol=2e-5, rtol=0)
    default = gathered(Options())
    ours, theirs = alternate(lambda: default(attn, hidden), dense)
    return ours / theirs


@torch.no_grad()
def captured(unet: UNet2DConditionModel, share: float, kept: str) -> Cache:
    """One step's cache of the whole network."""
    labels, texts, cache = disc(64, share), [words(unet)] * 2, {}
    context = Context(labels, texts, Options(store=kept, **DEFAULTS), write=cache)
    with installed(unet, [context]):
        predict(unet, torch.randn(2, 4, 64, 64), 500, [context])
    return cache


def cache_size(cache: Cache, kept: str) -> float:
    """Megabytes of a whole reference on disk."""
    with tempfile.TemporaryDirectory() as folder:
        made_with = {"store": kept, "timesteps": [0]}
        store.Writer(Path(folder), made_with)(0, cache)
        return STEPS * EARLY * sum(path.stat().st_size for path in Path(folder).glob("step_*.pt")) / 1e6


@torch.no_grad()
def step_ratio(unet: UNet2DConditionModel, repeats: int) -> float:
    """Time of a guided step, in the mean over a run, by that of the plain step: early ones with regions, sharing and
    the cache read from disk, late ones with the regions' words."""
    z, text = torch.randn(2, 4, 64, 64), words(unet)
    with tempfile.TemporaryDirectory() as name:
        folder, made_with = Path(name), {"store": "kv", "timesteps": [0] * (repeats + 2)}
        writer = store.Writer(folder, made_with)
        cache = captured(unet, 0.25, "kv")
        for step in range(repeats + 2):
            writer(step, cache)
        for path in folder.iterdir():
            forget(path)
        reader, steps = store.Reader(folder, made_with), iter(range(repeats + 2))
        context = Context(disc(64, 0.25), [text] * 2, Options(**DEFAULTS))

        def step(progress: float, read: list[Cache]) -> None:
            context.progress, context.read = progress, read
            with installed(unet, [context]):
                predict(unet, z, 500, [context])

        ways = lambda: step(0, [reader(next(steps))]), lambda: step(EARLY, [])
        early, late, plain = alternate(*ways, lambda: unet(z, 500, encoder_hidden_states=text), repeats=repeats)
    return (EARLY * early + (1 - EARLY) * late) / plain


def words(unet: UNet2DConditionModel) -> Tensor:
    """Both halves of guidance, as a text encoder would give them."""
    return torch.randn(2, 77, unet.config.cross_attention_dim)


def forget(path: Path) -> None:
    """Make the next one to read a file read it from the disk, not from memory."""
    with path.open() as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def measure(quick: bool) -> dict[str, float]:
    torch.manual_seed(0)
    torch.set_num_threads(2)
    figures = {
        f"{tokens} tokens, {share:.0%} mask": layer_ratio(*level, share)
        for tokens, level in LEVELS.items()
        for share in SHARES
    }
    if quick:
        return figures
    unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=768).eval().requires_grad_(False)
    for kept in ("kv", "hidden"):
        for share in (0.15, 0.4):
            figures[f"cache, {kept}, {share:.0%} mask"] = cache_size(captured(unet, share, kept), kept)
    return figures | {"whole step": step_ratio(unet, repeats=3)}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1] == "quick")))
