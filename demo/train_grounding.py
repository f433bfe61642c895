"""Train the demo world's GroundingDINO: phrases to boxes around what is seen of the objects they name.

    python demo/train_grounding.py --minutes 600

Goes on from the weights in --out if they are of these sizes. A caption asks for some objects of a still, by any words
that fit just one of them, and for some that are not in it, down to those that differ in nothing but their texture.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from groundingdino.models.GroundingDINO.utils import sigmoid_focal_loss
from groundingdino.util.box_ops import box_cxcywh_to_xyxy
from groundingdino.util.misc import inverse_sigmoid
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import generalized_box_iou_loss
from torchvision.transforms.functional import normalize
from transformers import BertTokenizerFast

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import random_finders
from clevam import detector
from clevam.files import replacing
from random_finders import halved, write_json
from things import COLOURS, SHAPES, TEXTURES
from training import fit, go_on, parser, pick_device, random_still
from world import Scene

GROUNDING = random_finders.GROUNDING | {
    "backbone": {"embed_dim": 24, "depths": [2, 2, 2, 2], "num_heads": [1, 2, 4, 8], "window_size": 6},
    "enc_layers": 1,
    "dec_layers": 2,
    "dim_feedforward": 256,
    "num_queries": 30,
    "num_feature_levels": 3,
    "fusion_droppath": 0.0,
    "size": 192,
    "longest": 384,
}
# Each word of the world is one token; letters spell any other.
SAME = {"ball": "circle"}  # other words for shapes
TOKENS = [*random_finders.TOKENS, "a", "an", "the", *COLOURS, *TEXTURES, *SHAPES, *SAME]
TOKENS = list(dict.fromkeys(TOKENS))  # "a" is a letter too
BERT = random_finders.BERT | {"vocab_size": len(TOKENS), "hidden_size": 64, "intermediate_size": 128}

SIZES, SHARES = ((128, 128), (192, 192), (144, 256)), (0.7, 0.1, 0.2)  # of the stills: pixels, how often
OBJECTS = 3  # at most in a still
SEEN = 24  # pixels of an object from which on it is asked for

# ---- data --------------------------------------------------------------------------------------------------------


def draw(rng: np.random.Generator, batch: int, tokenizer: BertTokenizerFast) -> dict:
    """Stills of one size: `pictures` float32 [B, 3, h, w], as the network takes them; `captions`; `boxes` float32
    [B, N, 4], as centre, width and height in shares of the picture; `words` float32 [B, N, 256], 1 where the token of
    the caption names the object, 0 everywhere for one that is not asked for or not there."""
    height, width = SIZES[rng.choice(len(SIZES), p=SHARES)]
    scale = GROUNDING["size"] / min(height, width)
    pictures, captions = [], []
    boxes, words = np.full((batch, OBJECTS, 4), 0.5, np.float32), np.zeros((batch, OBJECTS, 256), np.float32)
    for i in range(batch):
        picture, labels, around, _, _, scene = random_still(rng, (height, width))
        seen = [k for k in range(1, len(around) + 1) if (labels == k).sum() >= SEEN]
        phrases, named = ask(rng, scene, seen)
        large = Image.fromarray(picture).resize((round(width * scale), round(height * scale)), Image.BILINEAR)
        pictures.append(torch.as_tensor(np.array(large)).permute(2, 0, 1) / 255)
        captions.append(" . ".join(phrases) + " .")
        for k, tokens in zip(named, tokens_of(phrases, tokenizer), strict=True):
            if k:
                corners = around[k - 1] / (width, height, width, height)
                boxes[i, k - 1] = [*(corners[:2] + corners[2:]) / 2, *(corners[2:] - corners[:2])]
                words[i, k - 1, tokens] = 1
    pixels = normalize(torch.stack(pictures), detector.MEAN, detector.STD)
    return {"pictures": pixels, "captions": captions, "boxes": torch.as_tensor(boxes), "words": torch.as_tensor(words)}


def ask(rng: np.random.Generator, scene: Scene, seen: list[int]) -> tuple[list[str], list[int]]:
    """1 to 5 phrases and the label of the object that each names, 0 for none."""
    asked = [(reference(rng, scene, k), k) for k in seen if rng.uniform() < 0.7]
    asked += [(absent(rng, scene), 0) for _ in range(rng.integers(0 if asked else 1, 3))]
    rng.shuffle(asked)
    phrases, named = zip(*asked, strict=True)
    return [reworded(rng, phrase) for phrase in phrases], [int(k) for k in named]


def reference(rng: np.random.Generator, scene: Scene, k: int) -> str:
    """The object's full name, or any part of it that fits no other object."""
    return scene.phrases[k - 1] if rng.uniform() < 0.6 else rng.choice(scene.references(k))


def absent(rng: np.random.Generator, scene: Scene) -> str:
    """A name, or the last words of one, that fits no object; mostly like one that is there."""
    likeness = int(rng.choice([0, 1, 2, 2]))
    name = str(rng.choice(scene.absent(likeness) or scene.absent(1)))
    _, *words = name.split()
    short = words[-int(rng.integers(1, len(words) + 1)) :]
    return name if any(look.fits(tuple(short)) for look in scene.things) else f"the {' '.join(short)}"


def reworded(rng: np.random.Generator, phrase: str) -> str:
    """The same with another article or none, and now and then another word for the shape."""
    article = rng.choice(["the ", "the ", "a ", ""])
    words = phrase.removeprefix("the ")
    for other, word in SAME.items():
        words = words.replace(word, other) if rng.uniform() < 0.3 else words
    return article.replace("a ", "an " if words[0] in "aeiou" else "a ") + words


def tokens_of(phrases: list[str], tokenizer: BertTokenizerFast) -> list[list[int]]:
    """The numbers of each phrase's tokens in the caption, where [CLS] stands before all and a full stop after each."""
    lengths = [len(tokenizer.tokenize(phrase)) for phrase in phrases]
    starts = 1 + np.cumsum([0, *(length + 1 for length in lengths)])
    return [list(range(start, start + length)) for start, length in zip(starts, lengths, strict=False)]


# ---- loss --------------------------------------------------------------------------------------------------------


def predict(model: torch.nn.Module, pictures: Tensor, captions: list[str]) -> list[tuple[Tensor, Tensor]]:
    """Logits [B, Q, 256] and boxes [B, Q, 4] of the encoder's proposals and of every layer of the decoder.

    The network itself returns those of the last layer only, so the others are computed again from what goes through it.
    """
    seen = {}
    hook = model.transformer.register_forward_hook(lambda _, inputs, out: seen.update(text=inputs[-1], out=out))
    model(pictures, captions=captions)
    hook.remove()
    features, references, proposals, proposed, _ = seen["out"]
    results = [(model.transformer.enc_out_class_embed(proposals[-1], seen["text"]), proposed[-1])]
    for feature, reference, classes, box in zip(
        features, references, model.class_embed, model.bbox_embed, strict=False
    ):
        moved = (box(feature) + inverse_sigmoid(reference)).sigmoid()
        results.append((classes(feature, seen["text"]), moved))
    return results


def losses_of(model: torch.nn.Module, batch: dict) -> dict[str, Tensor]:
    layers = [losses_of_layer(*each, batch) for each in predict(model, batch["pictures"], batch["captions"])]
    return {name: sum(layer[name] for layer in layers) / len(layers) for name in layers[0]}


def losses_of_layer(logits: Tensor, boxes: Tensor, batch: dict) -> dict[str, Tensor]:
    """Contrastive focal loss of the words, and L1 and GIoU of the boxes that are matched to objects."""
    words, known = batch["words"], logits.isfinite()  # minus infinity where the caption has no token
    logits = logits.masked_fill(~known, 0)
    there = words.any(2)
    count = there.sum().clamp(min=1)
    query = match(cost_of(logits, boxes, batch).masked_fill(~there[..., None], 0))  # [B, N]
    row = torch.arange(len(query), device=query.device)[:, None]
    targets = torch.zeros_like(logits)
    targets[row.expand_as(query)[there], query[there]] = words[there]
    focal = sigmoid_focal_loss(logits, targets, count, no_reduction=True) * known
    found, wanted = boxes[row, query][there], batch["boxes"][there]
    return {
        "words": focal.sum() / count,
        "sides": 5 * F.l1_loss(found, wanted, reduction="sum") / count,
        "overlap": 2 * generalized_box_iou_loss(*map(box_cxcywh_to_xyxy, (found, wanted)), reduction="sum") / count,
    }


@torch.no_grad()
def cost_of(logits: Tensor, boxes: Tensor, batch: dict) -> Tensor:
    """What it costs to take query q for object n: [B, N, Q]. As published: 2 for words, 5 for sides, 2 for overlap."""
    words = batch["words"] / batch["words"].sum(2, keepdim=True).clamp(min=1)
    one, zero = (sigmoid_focal_loss(logits, torch.full_like(logits, x), 1, no_reduction=True) for x in (1, 0))
    name = words @ (one - zero).transpose(1, 2)
    found, wanted = torch.broadcast_tensors(boxes[:, None], batch["boxes"][:, :, None])
    sides = (found - wanted).abs().sum(3)
    overlap = generalized_box_iou_loss(*map(box_cxcywh_to_xyxy, (found, wanted)))
    return 2 * name + 5 * sides + 2 * overlap


def match(cost: Tensor) -> Tensor:
    """The cheapest way to give each object a query of its own: cost [B, N, Q] -> query int64 [B, N].

    Exact: the others hold N - 1 queries at most, so nobody has to take worse than his N-th best, and few ways remain.
    """
    count = cost.shape[1]
    price, query = cost.topk(count, largest=False)
    objects = torch.arange(count, device=cost.device)
    ways = torch.cartesian_prod(*[objects] * count)  # [W, N], the place of each one's query in his own order
    price, query = price[:, objects, ways].sum(2), query[:, objects, ways]  # [B, W], [B, W, N]
    shared = (query[..., None] == query[..., None, :]).sum((2, 3)) > count
    best = price.masked_fill(shared, torch.inf).argmin(1)
    return query[torch.arange(len(cost), device=cost.device), best]


# ---- weights -----------------------------------------------------------------------------------------------------


def load(folder: Path, seed: int) -> torch.nn.Module:
    """The network of the weights in a folder, or a new one if there are none of these sizes."""
    return go_on(build, folder / "config.json", GROUNDING, seed)


def build() -> torch.nn.Module:
    """The network with first weights."""
    with TemporaryDirectory() as folder:
        save_settings(Path(folder))
        model = detector.build(GROUNDING, *detector.read_text(f"{folder}/text"))
    calm(model)
    return model


@torch.no_grad()
def calm(model: torch.nn.Module) -> None:
    """Let scores start near 2 %, as a word fits few boxes, and let words reach the picture from the first step on.

    A score is the product of two layer-normed vectors, a query's and a word's. Each has mean 0 before its bias, so the
    bias 1 of the words and -4 / width of the queries add -4 to every logit and nothing else.
    """
    transformer = model.transformer
    for queries in (transformer.decoder.norm, transformer.enc_output_norm):
        queries.weight.fill_(1 / transformer.d_model**0.5)
        queries.bias.fill_(-4 / transformer.d_model)
    transformer.encoder.text_layers[-1].norm2.bias.fill_(1)
    for fusion in transformer.encoder.fusion_layers:
        fusion.gamma_v.fill_(0.1)
        fusion.gamma_l.fill_(0.1)


def save(model: torch.nn.Module, folder: Path) -> None:
    """weights.pth in half precision, config.json and text/."""
    save_settings(folder)
    with replacing(folder / "weights.pth") as part:
        torch.save({"model": halved(model)}, part)


def save_settings(folder: Path) -> None:
    options = {"tokenizer_class": "BertTokenizer", "do_lower_case": True}
    settings = {"config.json": GROUNDING, "text/config.json": BERT, "text/tokenizer_config.json": options}
    for name, data in settings.items():
        with replacing(folder / name) as part:
            write_json(part, data)
    with replacing(folder / "text" / "vocab.txt") as part:
        part.write_text("\n".join([*TOKENS, ""]))


def main() -> None:
    options = parser(__doc__, "grounding", batch=8, rate=4e-4).parse_args()
    model = load(options.out, options.seed).to(pick_device(options.device))
    fit(model, partial(draw, batch=options.batch, tokenizer=model.tokenizer), losses_of, partial(save, model), options)


if __name__ == "__main__":
    main()
