"""Region attention with a shared reference.

Inside/outside attention (Shape-guided Diffusion, Park et al., WACV 2024) lets every region of the picture look only at
itself and at its own words. Shared attention (StyleAligned, Hertz et al., CVPR 2024) adds the reference's keys and
values of the same region. Both are one scaled dot-product attention per region over gathered tokens: equal to a masked
attention over all tokens, without the mask.

Tensors: K keyframes at a time; B is the classifier-free pair (unconditional, conditional), or 1 for the inversion; H
heads; N tokens, n of them in a region; d channels per head.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import ceil, log

import torch
import torch.nn.functional as F
from torch import Tensor

from clevam.errors import UserError

SHARED = "up_blocks"  # the layers that share: the others would copy the reference's layout, not its look
Cache = dict[str, Tensor]  # "<layer>/<region>/<k|v|q_mean|q_std>" of one step


@dataclass
class Context:
    """What the network is told of one keyframe before a call.

    labels: int64 [h, w] at latent resolution, 0 outside and 1..R inside; texts: one [B, T, C] text embedding per label;
    regions, share, adain: config.Attention; channels: what an inpainting network takes beside the latent, [1, 5, h, w];
    added: what XL takes beside the words, {name: [B, ...]}; write: the step's cache to fill, read: the reference's
    cache to look at.
    """

    labels: Tensor
    texts: list[Tensor]
    regions: bool = True
    adain: bool = True
    channels: Tensor | None = None
    added: dict[str, Tensor] | None = None
    write: Cache | None = None
    read: Cache | None = None
    _tokens: dict[int, list[Tensor]] = field(default_factory=dict)

    def tokens(self, count: int) -> list[Tensor]:
        """The token indices of every label at the attention resolution that has `count` tokens."""
        if count not in self._tokens:
            levels = layer_labels(self.labels, level_size(tuple(self.labels.shape), count), len(self.texts)).flatten()
            self._tokens[count] = [(levels == r).nonzero().flatten() for r in range(len(self.texts))]
        return self._tokens[count]


def level_size(latent: tuple[int, int], count: int) -> tuple[int, int]:
    """The (h, w) of the network's level with `count` tokens: the latent's sides halved and rounded up k times."""
    for k in range(8):
        size = ceil(latent[0] / 2**k), ceil(latent[1] / 2**k)
        if size[0] * size[1] == count:
            return size
    raise ValueError(f"no level of a {latent[0]}x{latent[1]} latent has {count} tokens")


def layer_labels(labels: Tensor, size: tuple[int, int], count: int) -> Tensor:
    """int64 labels at `size`: each cell takes the label that covers most of it, and a label that covers none but
    exists keeps its strongest cell that is not another label's last, so that a small object does not vanish."""
    share = F.adaptive_avg_pool2d(F.one_hot(labels, count).permute(2, 0, 1).float(), size)  # [R + 1, h, w]
    result = torch.cat([share[:1] - 1e-6, share[1:]]).argmax(0)  # half covered is inside
    for r in range(1, count):
        cells = result.flatten().bincount(minlength=count)
        spare = share[r] * ((result == 0) | (cells[result] > 1))
        if not cells[r] and spare.any():
            result.view(-1)[spare.argmax()] = r
    return result


class Processor:
    """The attention of one layer of a diffusers UNet: attn1 looks at the picture, attn2 at the words."""

    def __init__(self, layer: str, contexts: list[Context]) -> None:
        self.layer, self.contexts = layer, contexts
        self.attend = self._to_itself if layer.endswith("attn1") else self._to_words

    def __call__(self, attn, hidden_states: Tensor, encoder_hidden_states=None, attention_mask=None, **_) -> Tensor:
        """hidden_states [K * B, N, C], keyframe by keyframe, -> [K * B, N, C], as diffusers' AttnProcessor."""
        projections = [attn.to_q, attn.to_k, attn.to_v] if self.attend == self._to_itself else [attn.to_q]
        projected = [heads(p(hidden_states), attn.heads).chunk(len(self.contexts)) for p in projections]
        out = torch.cat([self.attend(attn, *one) for one in zip(self.contexts, *projected, strict=True)])
        out = out.transpose(1, 2).flatten(2)  # [K * B, N, C]
        return attn.to_out[1](attn.to_out[0](out))

    def _to_itself(self, attn, context: Context, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        out = torch.empty_like(q)
        for r, index in enumerate(_regions(context, q.shape[2])):
            if len(index):
                out[:, :, index] = self._region(context, r, *(x[:, :, index] for x in (q, k, v)))
        return out

    def _region(self, context: Context, r: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attention of one region's tokens, [B, H, n, d] each, to themselves and to the reference's same region."""
        key = f"{self.layer}/{r}"
        shared = self.layer.startswith(SHARED) and (r > 0 or not context.regions)
        if context.write is not None and shared:
            context.write |= {f"{key}/k": k, f"{key}/v": v}
            context.write |= {f"{key}/q_mean": q.mean(2, keepdim=True), f"{key}/q_std": spread(q)}
        if context.read is None or not shared or f"{key}/k" not in context.read:
            return F.scaled_dot_product_attention(q, k, v)
        reference = [context.read[f"{key}/{name}"].to(q) for name in ("k", "v", "q_mean", "q_std")]
        return share(q, k, v, *reference, adain=context.adain)

    def _to_words(self, attn, context: Context, q: Tensor) -> Tensor:
        out = torch.empty_like(q)
        texts = context.texts if context.regions else context.texts[-1:]
        for index, text in zip(_regions(context, q.shape[2]), texts, strict=True):
            if len(index):
                k, v = heads(attn.to_k(text), attn.heads), heads(attn.to_v(text), attn.heads)
                out[:, :, index] = F.scaled_dot_product_attention(q[:, :, index], k, v)
        return out


def _regions(context: Context, count: int) -> list[Tensor]:
    """The token indices of every region, or of all, at the attention resolution that has `count` tokens."""
    return context.tokens(count) if context.regions else [torch.arange(count, device=context.labels.device)]


def heads(x: Tensor, count: int) -> Tensor:
    """[B, N, H * d] -> [B, H, N, d]."""
    return x.unflatten(-1, (count, -1)).transpose(1, 2)


def share(
    q: Tensor, k: Tensor, v: Tensor, k_ref: Tensor, v_ref: Tensor, q_mean: Tensor, q_std: Tensor, adain: bool
) -> Tensor:
    """Attention to own and reference tokens (StyleAligned, section 3.2).

    q, k, v: [B, H, n, d]; k_ref, v_ref: [B, H, m, d]; q_mean, q_std, of the reference's queries: [B, H, 1, d].

    The reference's logits are raised by log(n / m), so that it weighs as much as the frame's own tokens whatever the
    size of the object in either.
    """
    n, m = k.shape[2], k_ref.shape[2]
    if adain and min(n, m) > 1:
        q = renormalise(q, q_mean, q_std)
        k = renormalise(k, k_ref.mean(2, keepdim=True), spread(k_ref))
    bias = torch.zeros(1, n + m, dtype=q.dtype, device=q.device)
    bias[:, n:] = log(n / m)
    return F.scaled_dot_product_attention(q, torch.cat([k, k_ref], 2), torch.cat([v, v_ref], 2), attn_mask=bias)


def renormalise(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Adaptive instance normalisation over tokens (Huang and Belongie, ICCV 2017): x with the given mean and spread."""
    return (x - x.mean(2, keepdim=True)) / spread(x) * std + mean


def spread(x: Tensor) -> Tensor:
    """Standard deviation over tokens [B, H, 1, d]; unbiased, with StyleAligned's 1e-5 inside the root."""
    return (x.var(2, keepdim=True, unbiased=x.shape[2] > 1) + 1e-5).sqrt()


@contextmanager
def installed(unet, contexts: list[Context]) -> Iterator[None]:
    """Region attention in every layer of a UNet, and the layers' own processors back at the end, whatever happens."""
    original = unet.attn_processors
    unknown = [name for name in original if not name.endswith(("attn1.processor", "attn2.processor"))]
    if unknown:
        raise UserError(f"models.diffusion: this network is not a Stable Diffusion UNet: it has a layer {unknown[0]}")
    layers = [name.removesuffix(".processor") for name in original]
    unet.set_attn_processor({f"{layer}.processor": Processor(layer, contexts) for layer in layers})
    try:
        yield
    finally:
        unet.set_attn_processor(original)
