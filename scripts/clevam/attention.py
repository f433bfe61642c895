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
from functools import partial
from math import exp, log, log1p

import torch
import torch.nn.functional as F
from torch import Tensor

from clevam.errors import UserError

ENOUGH = 8  # tokens whose mean and spread say something
Cache = dict[str, Tensor]  # "<layer>/<region>/<k|v|q_mean|q_std>" of one step, or "<layer>/<region>/h"
Window = tuple[float, float]  # shares of the steps, from the noisiest on: the first included, the last not


@dataclass(frozen=True)
class Options:
    """config.Attention and config.Share. `official` is what the authors' code does, `renorm` what it stands for.

    isolation: `both`: a region looks at itself only; `outside_only`: it also looks at what is outside of all, which
        does not look back; `none`: everything looks at everything
    pixels: `official`: looks at other regions are dropped after the softmax, so what is left weighs less (Shape-guided,
        equation 4); `renorm`: before it
    words: `renorm`: each region has its own words; `official`: all words in one, weighted by region after the softmax;
        `whole`: the wanted words for the whole picture
    isolated, shared: the steps in which regions are isolated, in which the reference is looked at
    adain: own queries and keys take the reference's mean and spread
    scale, shift, balance: the reference's keys are multiplied, its logits raised; by log(n / m), too, so that it weighs
        as much as the region's own tokens whatever the size of the object in either
    where: `inside`: the regions share, `both`: so does what is outside
    layers: those that share, by the beginnings of their names: `up`, the decoder's; or `all`
    store: what is kept of the reference: `kv`, its keys and values, or `hidden`, what both are made of
    inject, injected, injecting: whose queries and keys are those of the source, `inside`, `outside`, `both` or `none`;
        in which steps; in which layers
    """

    isolation: str = "both"
    pixels: str = "renorm"
    words: str = "renorm"
    isolated: Window = (0, 1)
    shared: Window = (0, 1)
    adain: bool = True
    scale: float = 1.0
    shift: float = 0.0
    balance: bool = True
    where: str = "inside"
    layers: tuple[str, ...] = ("up",)
    store: str = "kv"
    inject: str = "none"
    injected: Window = (0, 1)
    injecting: tuple[str, ...] = ("up",)

    def shares(self, layer: str) -> bool:
        """Whether a layer looks at the reference."""
        return among(layer, self.layers)


def among(layer: str, beginnings: tuple[str, ...]) -> bool:
    return "all" in beginnings or layer.startswith(beginnings)


@dataclass(frozen=True)
class View:
    """What one region's tokens look at: themselves and some around them. Indices of tokens, int64 [n] and [m]."""

    region: int
    own: Tensor
    around: Tensor
    seen: Tensor  # bool [m]: of the others only the weight in the softmax counts, not what they say


@dataclass
class Context:
    """What the network is told of one keyframe before a call.

    labels: int64 [h, w] at latent resolution, 0 outside and 1..R inside; texts: one [B, T, C] text embedding per label;
    weights: of each label's words, float32 [T], where they are weighted; channels: what an inpainting network takes
    beside the latent, [1, 5, h, w]; added: what XL takes beside the words, {name: [B, ...]}; progress: the share of the
    steps that is done; write: the step's cache to fill; read: the caches to look at, the reference's first; record:
    queries and keys of this picture, to fill; taken: those of its source, "<layer>/<q|k>" [1, N, C], to take; guides:
    of ControlNets, control.Guide; looks: of labels that pictures are shown of, subject.Look.
    """

    labels: Tensor
    texts: list[Tensor]
    options: Options = Options()
    weights: list[Tensor] | None = None
    channels: Tensor | None = None
    added: dict[str, Tensor] | None = None
    progress: float = 0.0
    write: Cache | None = None
    read: list[Cache] = field(default_factory=list)
    record: Cache | None = None
    taken: Cache | None = None
    guides: list = field(default_factory=list)
    looks: dict = field(default_factory=dict)
    _views: dict[tuple, list[View]] = field(default_factory=dict)
    _cells: dict[tuple[int, int], Tensor] = field(default_factory=dict)

    def views(self, size: tuple[int, int], isolation: str, pixels: str = "renorm") -> list[View]:
        """What each region's tokens look at in a layer of (h, w) tokens; with `whole`, all of them are one region."""
        key = (size, isolation, pixels)
        if key not in self._views:
            cells = self.cells(size)
            if isolation == "whole":
                cells = torch.zeros_like(cells)
            views = [look(cells, r, isolation, pixels) for r in range(len(self.texts))]
            self._views[key] = [view for view in views if len(view.own)]
        return self._views[key]

    def cells(self, size: tuple[int, int]) -> Tensor:
        """The label of each of (h, w) tokens, int64 [h * w]."""
        if size not in self._cells:
            self._cells[size] = layer_labels(self.labels, size, len(self.texts)).flatten()
        return self._cells[size]


def during(progress: float, window: Window) -> bool:
    return window[0] <= progress < window[1]


def look(cells: Tensor, region: int, isolation: str, pixels: str) -> View:
    """What a region of the labels int64 [N] looks at: Options.isolation and Options.pixels."""
    own = cells == region
    seen = {"none": ~own, "outside_only": (cells == 0) & ~own}.get(isolation, torch.zeros_like(own))
    around = (~own if pixels == "official" else seen).nonzero().flatten()
    return View(region, own.nonzero().flatten(), around, seen[around])


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


# ---- layers ------------------------------------------------------------------------------------------------------


class Processor:
    """The attention of one layer of a diffusers UNet: attn1 looks at the picture, attn2 at the words."""

    def __init__(self, layer: str, contexts: list[Context]) -> None:
        self.layer, self.contexts = layer, contexts
        self.size: tuple[int, int] = (0, 0)  # (h, w) of its tokens, told before each call
        self.attend = self._to_pixels if layer.endswith("attn1") else self._to_words

    def __call__(self, attn, hidden_states: Tensor, encoder_hidden_states=None, attention_mask=None, **_) -> Tensor:
        """hidden_states [K * B, N, C], keyframe by keyframe, -> [K * B, N, C], as diffusers' AttnProcessor."""
        each = hidden_states.chunk(len(self.contexts))
        out = torch.cat([self.attend(attn, *one) for one in zip(self.contexts, each, strict=True)])
        return attn.to_out[1](attn.to_out[0](out))

    def _to_pixels(self, attn, context: Context, hidden: Tensor) -> Tensor:
        """One keyframe's tokens [B, N, C] look at each other, and at the reference: [B, N, C]."""
        options = context.options
        shares = options.shares(self.layer) and (context.write is not None or bool(context.read))
        isolation = options.isolation if during(context.progress, options.isolated) else "none"
        if isolation == "none" and not (shares and options.where == "inside"):
            isolation = "whole"
        q, k, v = (project(hidden) for project in (attn.to_q, attn.to_k, attn.to_v))
        q, k = self._injected(context, q, k)
        out = torch.empty_like(q)
        for view in context.views(self.size, isolation, options.pixels):
            # Whole rows of tokens are gathered and scattered, which is much faster than within each head.
            own = [heads(x.index_select(1, view.own), attn.heads) for x in (q, k, v)]
            around = [heads(x.index_select(1, view.around), attn.heads) for x in (k, v)]
            around[1] = around[1] * view.seen[:, None]
            references = []
            if shares and (view.region > 0 or options.where == "both"):
                key = f"{self.layer}/{view.region}"
                if context.write is not None:
                    context.write |= self._kept(options.store, key, hidden[:, view.own], *own)
                found = (self._reference(attn, cache, key, q) for cache in context.read)
                references = [each for each in found if each]
            out.index_copy_(1, view.own, tokens(share(*own, *around, references, options)))
        return out

    def _injected(self, context: Context, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        """Queries and keys [B, N, C], of some tokens those of the source (Tumanyan et al., CVPR 2023, section 4)."""
        if context.record is not None and among(self.layer, context.options.injecting):
            context.record |= {f"{self.layer}/q": q, f"{self.layer}/k": k}
        if context.taken is None or f"{self.layer}/q" not in context.taken:
            return q, k
        inside, where = context.cells(self.size) > 0, context.options.inject
        chosen = {"inside": inside, "outside": ~inside, "both": torch.ones_like(inside)}[where][:, None]
        taken = (context.taken[f"{self.layer}/{name}"] for name in ("q", "k"))
        return tuple(torch.where(chosen, theirs, own) for theirs, own in zip(taken, (q, k), strict=True))

    def _kept(self, store: str, key: str, hidden: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Cache:
        """What is kept of a region of the reference."""
        if store == "hidden":
            return {f"{key}/h": hidden}
        k, v = k.contiguous(), v.contiguous()  # as they are read again, so that sums over them round alike
        return {f"{key}/k": k, f"{key}/v": v, f"{key}/q_mean": q.mean(2, keepdim=True), f"{key}/q_std": spread(q)}

    def _reference(self, attn, cache: Cache, key: str, like: Tensor) -> list[Tensor] | None:
        """Keys and values [B, H, m, d] of a region of the reference, mean and spread of its queries [B, H, 1, d]; None
        where it has no such region."""
        if f"{key}/h" in cache:
            hidden = cache[f"{key}/h"].to(like)
            q, k, v = (heads(project(hidden), attn.heads) for project in (attn.to_q, attn.to_k, attn.to_v))
            return [k, v, q.mean(2, keepdim=True), spread(q)]
        if f"{key}/k" not in cache:
            return None
        return [cache[f"{key}/{name}"].to(like) for name in ("k", "v", "q_mean", "q_std")]

    def _to_words(self, attn, context: Context, hidden: Tensor) -> Tensor:
        """One keyframe's tokens [B, N, C] look at the words of their region: [B, N, C]."""
        q = attn.to_q(hidden)
        out = torch.empty_like(q)
        whole = context.options.words == "whole"
        for view in context.views(self.size, "whole" if whole else "both"):
            r = -1 if whole else view.region
            k, v = (heads(project(context.texts[r]), attn.heads) for project in (attn.to_k, attn.to_v))
            if context.weights is not None:
                v = v * context.weights[r].to(v)[:, None]
            own = heads(q.index_select(1, view.own), attn.heads)
            out.index_copy_(1, view.own, tokens(F.scaled_dot_product_attention(own, k, v)))
        return self._to_subjects(attn, context, q, out) if context.looks else out

    def _to_subjects(self, attn, context: Context, q: Tensor, out: Tensor) -> Tensor:
        """`out` [B, N, C] and what the tokens of each region, of queries q, see of the pictures of its subject."""
        for view in context.views(self.size, "both"):
            if view.region in context.looks:
                k, v = (heads(x, attn.heads) for x in context.looks[view.region][self.layer])
                own = heads(q.index_select(1, view.own), attn.heads)
                out.index_add_(1, view.own, tokens(F.scaled_dot_product_attention(own, k, v)))
        return out


def heads(x: Tensor, count: int) -> Tensor:
    """[B, N, H * d] -> [B, H, N, d]."""
    return x.unflatten(-1, (count, -1)).transpose(1, 2)


def tokens(x: Tensor) -> Tensor:
    """[B, H, N, d] -> [B, N, H * d]."""
    return x.transpose(1, 2).flatten(2)


def share(
    q: Tensor, k: Tensor, v: Tensor, k_around: Tensor, v_around: Tensor, references: list[list[Tensor]],
    options: Options,
) -> Tensor:  # fmt: skip
    """Attention to own tokens, to some around them and to references (StyleAligned, section 3.2).

    q, k, v: [B, H, n, d]; k_around, v_around: [B, H, o, d]; references: of each keys and values [B, H, m, d], mean and
    spread of its queries [B, H, 1, d]. Own tokens take the first one's.
    """
    if not references:
        return F.scaled_dot_product_attention(q, joined(k, k_around), joined(v, v_around))
    k_ref, _, q_mean, q_std = references[0]
    n, o, sizes = k.shape[2], k_around.shape[2], [each[0].shape[2] for each in references]
    if options.adain and min(n, sizes[0]) >= ENOUGH:
        q = renormalise(q, q_mean, q_std)
        k = renormalise(k, k_ref.mean(2, keepdim=True), spread(k_ref))
    raised = [options.shift + (log(n / m) if options.balance else 0) for m in sizes]
    bias = None
    if any(raised) or o:  # fused kernels take no bias
        # What is around keeps its part: with the references there is more of the region itself.
        around = log1p(sum(m / n * exp(up) for m, up in zip(sizes, raised, strict=True)))
        theirs = (q.new_full((m,), up) for m, up in zip(sizes, raised, strict=True))
        bias = torch.cat([q.new_zeros(n), q.new_full((o,), around), *theirs])[None]
    keys = joined(k, k_around, *(options.scale * each[0] for each in references))
    return F.scaled_dot_product_attention(q, keys, joined(v, v_around, *(each[1] for each in references)), bias)


def joined(*parts: Tensor) -> Tensor:
    """Tokens [B, H, n, d] one after the other."""
    parts = [part for part in parts if part.shape[2]]
    return torch.cat(parts, 2) if len(parts) > 1 else parts[0]


def renormalise(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Adaptive instance normalisation over tokens (Huang and Belongie, ICCV 2017): x with the given mean and spread."""
    return torch.addcmul(mean, x - x.mean(2, keepdim=True), std / spread(x))


def spread(x: Tensor) -> Tensor:
    """Standard deviation over tokens [B, H, 1, d]; unbiased, with StyleAligned's 1e-5 inside the root."""
    variance = (x - x.mean(2, keepdim=True)).square().sum(2, keepdim=True) / max(x.shape[2] - 1, 1)
    return (variance + 1e-5).sqrt()  # torch's own variance takes ten times as long over this dimension


# ---- on and off --------------------------------------------------------------------------------------------------


@contextmanager
def installed(unet, contexts: list[Context]) -> Iterator[None]:
    """Region attention in every layer of a UNet, and the layers' own processors back at the end, whatever happens.

    The list of contexts may be changed between calls.
    """
    original = unet.attn_processors
    unknown = [name for name in original if not name.endswith(("attn1.processor", "attn2.processor"))]
    if unknown:
        raise UserError(f"models.diffusion: this network is not a Stable Diffusion UNet: it has a layer {unknown[0]}")
    processors = {name: Processor(name.removesuffix(".processor"), contexts) for name in original}
    unet.set_attn_processor(dict(processors))
    hooks = [
        unet.get_submodule(name).register_forward_pre_hook(partial(tell_size, inside))
        for name, inside in by_transformer(processors).items()
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        unet.set_attn_processor(original)


def by_transformer(processors: dict[str, Processor]) -> dict[str, list[Processor]]:
    """The processors inside of each of the network's transformers, which are where (h, w) is known."""
    result = {}
    for name, processor in processors.items():
        result.setdefault(name.partition(".transformer_blocks.")[0], []).append(processor)
    return result


def tell_size(processors: list[Processor], _, inputs: tuple[Tensor, ...]) -> None:
    """Before a transformer is called with a picture [K * B, C, h, w]."""
    for processor in processors:
        processor.size = tuple(inputs[0].shape[-2:])
