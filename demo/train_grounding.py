"""Train the demo world's GroundingDINO: phrases to boxes around what is seen of the objects they name.

    python demo/train_grounding.py [--out demo/models/grounding] [--minutes 600] [--resume]

A caption asks for some objects of a still, by any words
that fit just one of them, and for some that are not in it, down to those that differ in nothing but their texture.
"""

from __future__ import annotations

import string
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import torch
from groundingdino.models.GroundingDINO.utils import gen_encoder_output_proposals, sigmoid_focal_loss
from groundingdino.util.box_ops import box_cxcywh_to_xyxy
from groundingdino.util.misc import inverse_sigmoid
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import generalized_box_iou_loss
from torchvision.transforms.functional import normalize
from transformers import BertTokenizerFast

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from batches import drawn, load, random_still
from clevam import detector
from clevam.files import replacing, write_json
from scenery import reworded
from things import COLOURS, SAME, SHAPES, TEXTURES
from training import Losses, Options, Training, halved, parse
from world import Scene

# GroundingDINO's own settings (its SwinT-OGC configuration), but for the sizes. Its width is 256 whatever the settings.
GROUNDING = {
    "backbone": {"embed_dim": 24, "depths": [2, 2, 2, 2], "num_heads": [1, 2, 4, 8], "window_size": 5},
    "position_embedding": "sine",
    "pe_temperatureH": 20,
    "pe_temperatureW": 20,
    "return_interm_indices": [1, 2, 3],
    "backbone_freeze_keywords": None,
    "enc_layers": 1,
    "dec_layers": 2,
    "pre_norm": False,
    "dim_feedforward": 256,
    "hidden_dim": 256,
    "dropout": 0.0,
    "nheads": 8,
    "num_queries": 30,
    "query_dim": 4,
    "num_patterns": 0,
    "num_feature_levels": 3,
    "enc_n_points": 4,
    "dec_n_points": 4,
    "two_stage_type": "standard",
    "two_stage_bbox_embed_share": False,
    "two_stage_class_embed_share": False,
    "transformer_activation": "relu",
    "dec_pred_bbox_embed_share": True,
    "embed_init_tgt": True,
    "max_text_len": 256,
    "use_text_enhancer": True,
    "use_fusion_layer": True,
    "use_text_cross_attention": True,
    "text_dropout": 0.0,
    "fusion_dropout": 0.0,
    "fusion_droppath": 0.0,
    "sub_sentence_present": True,
    "size": 160,
    "longest": 320,
}

# Special tokens, the two that separate phrases, letters alone and inside of a word, so that any word can be read, and
# the words of the world.
LETTERS = [*string.ascii_lowercase, *string.digits, *"'-,"]
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "?", *LETTERS, *(f"##{letter}" for letter in LETTERS)]
TOKENS += ["the", "an", *COLOURS, *TEXTURES, *SHAPES, *SAME]
BERT = {
    "model_type": "bert",
    "vocab_size": len(TOKENS),
    "hidden_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 128,
    "max_position_embeddings": 256,
}

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
        areas = {k: (labels == k).sum() for k in range(1, len(around) + 1)}
        seen = [k for k, area in areas.items() if area >= SEEN]
        hidden = [k for k, area in areas.items() if not area]
        phrases, named = ask(rng, scene, seen, hidden)
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


def ask(rng: np.random.Generator, scene: Scene, seen: list[int], hidden: list[int]) -> tuple[list[str], list[int]]:
    """1 to 5 phrases and the label of the object that each names, 0 for none: nobody has that name, or it is gone."""
    asked = [(reference(rng, scene, k), k) for k in seen if rng.uniform() < 0.7]
    asked += [(reference(rng, scene, k), 0) for k in hidden if rng.uniform() < 0.7]
    asked += [(absent(rng, scene), 0) for _ in range(rng.integers(0 if asked else 1, 3))]
    rng.shuffle(asked)
    phrases, named = zip(*asked, strict=True)
    return [spoken(rng, phrase) for phrase in phrases], [int(k) for k in named]


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


def spoken(rng: np.random.Generator, phrase: str) -> str:
    """The same with another article or none, and now and then another word for the shape."""
    article = rng.choice(["the ", "the ", "a ", ""])
    words = reworded(rng, phrase.removeprefix("the "))
    return article.replace("a ", "an " if words[0] in "aeiou" else "a ") + words


def tokens_of(phrases: list[str], tokenizer: BertTokenizerFast) -> list[list[int]]:
    """The numbers of each phrase's tokens in the caption, where [CLS] stands before all and a full stop after each."""
    lengths = [len(tokenizer.tokenize(phrase)) for phrase in phrases]
    starts = 1 + np.cumsum([0, *(length + 1 for length in lengths)])
    return [list(range(start, start + length)) for start, length in zip(starts, lengths, strict=False)]


# ---- loss --------------------------------------------------------------------------------------------------------


class Prediction(NamedTuple):
    """What one stage of the network says."""

    logits: Tensor  # [B, Q, 256], of each token of the caption; minus infinity where it has none
    boxes: Tensor  # [B, Q, 4]


def predict(model: torch.nn.Module, pictures: Tensor, captions: list[str]) -> tuple[Prediction, Tensor, list]:
    """What the encoder says at every place, the centre and size that each place starts from [S, 4], and what each layer
    of the decoder says of its queries.

    The network itself returns the last layer only, so the others are computed again from what goes through it.
    """
    transformer, seen = model.transformer, {}
    hooks = [
        transformer.encoder.register_forward_hook(
            lambda _, inputs, options, out: seen.update(options, memory=out[0]), with_kwargs=True
        ),
        transformer.register_forward_hook(lambda _, inputs, out: seen.update(text=inputs[-1], out=out)),
    ]
    model(pictures, captions=captions)
    for hook in hooks:
        hook.remove()
    memory, starts = gen_encoder_output_proposals(seen["memory"], seen["key_padding_mask"], seen["spatial_shapes"])
    memory = transformer.enc_output_norm(transformer.enc_output(memory))
    moved = (transformer.enc_out_bbox_embed(memory) + starts).sigmoid()
    places = Prediction(transformer.enc_out_class_embed(memory, seen["text"]), moved)
    layers, (features, references, *_) = [], seen["out"]
    for feature, reference, classes, box in zip(
        features, references, model.class_embed, model.bbox_embed, strict=False
    ):
        moved = (box(feature) + inverse_sigmoid(reference)).sigmoid()
        layers.append(Prediction(classes(feature, seen["text"]), moved))
    return places, starts[0].sigmoid(), layers


def losses_of(model: torch.nn.Module, batch: dict) -> Losses:
    """The detector's own losses for its layers, each object matched to one query; and for every place of the encoder,
    where an object has several: they teach the network to see long before its queries find anything.
    """
    places, starts, layers = predict(model, batch["pictures"], batch["captions"])
    there = batch["words"].any(2)
    pairs = [near(batch["boxes"], there, starts)]
    for layer in layers:
        query = match(cost_of(*layer, batch).masked_fill(~there[..., None], 0))  # [B, N]
        pairs.append(F.one_hot(query, layer.boxes.shape[1]).bool() & there[..., None])
    losses = [losses_of_stage(*each, batch) for each in zip([places, *layers], pairs, strict=True)]
    return {name: sum(stage[name] for stage in losses) / len(losses) for name in losses[0]}


def near(boxes: Tensor, there: Tensor, starts: Tensor) -> Tensor:
    """Places that stand for an object: those around its centre, on the level that suits its size.

    boxes: [B, N, 4]; there: bool [B, N]; starts: [S, 4], whose sizes are 0.05, 0.1 and 0.2 by level, about a cell
    of each at 160 pixels. Returns bool [B, N, S].
    """
    cell = starts[:, 2]
    level = (1 + (boxes[..., 2:].amax(2) / 0.25).log2().floor()).clamp(0, 2)
    suits = (cell / 0.05).log2().round() == level[..., None]
    away = (boxes[:, :, None, :2] - starts[:, :2]).abs().amax(3)
    chosen = suits & (away < 1.2 * cell) & there[..., None]
    return chosen & (away <= away.masked_fill(~chosen, torch.inf).amin(1, keepdim=True))  # one object per place


def losses_of_stage(prediction: Prediction, pairs: Tensor, batch: dict) -> Losses:
    """Contrastive focal loss of the words, L1 and GIoU of the boxes. pairs: bool [B, N, Q], which stand for which."""
    logits, boxes = prediction
    known = logits.isfinite()  # minus infinity where the caption has no token
    logits = logits.masked_fill(~known, 0)
    count = pairs.sum().clamp(min=1)
    targets = pairs.float().transpose(1, 2) @ batch["words"]
    focal = sigmoid_focal_loss(logits, targets, count, no_reduction=True) * known
    row, n, query = pairs.nonzero(as_tuple=True)
    found, wanted = boxes[row, query], batch["boxes"][row, n]
    return {
        "words": focal.sum() / count,
        "sides": 5 * F.l1_loss(found, wanted, reduction="sum") / count,
        "overlap": 2 * generalized_box_iou_loss(*map(box_cxcywh_to_xyxy, (found, wanted)), reduction="sum") / count,
    }


@torch.no_grad()
def cost_of(logits: Tensor, boxes: Tensor, batch: dict) -> Tensor:
    """What it costs to take query q for object n: [B, N, Q]. As published: 2 for words, 5 for sides, 2 for overlap."""
    words = batch["words"] / batch["words"].sum(2, keepdim=True).clamp(min=1)
    logits = logits.masked_fill(~logits.isfinite(), 0)  # where the caption has no token, and nothing to find
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


def train(options: Options) -> None:
    model = load(build, options)
    training = Training(model, options)
    batches = drawn(partial(draw, batch=options.batch, tokenizer=model.tokenizer), training)
    training.run(lambda: losses_of(training.model, next(batches)), partial(save, folder=options.out))


if __name__ == "__main__":
    train(parse(__doc__, "grounding", minutes=600, batch=8, rate=4e-4))
