"""Train the demo's text encoder: at every word, CLIP's text model learns to know what has been said so far.

    python demo/train_text.py [--out demo/models/diffusion] [--minutes 8] [--resume]

It reads captions of scenes that are never drawn, so this takes minutes. What has been said is to be told from its
output by a linear map, which is how the UNet's attention reads it. Comes before train_diffusion.py.
"""

from __future__ import annotations

import shutil
from copy import deepcopy
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPTextModel

from checkpoint import save_vocabulary, strip, text_config
from grounds import GROUNDS
from scenery import reworded
from things import COLOURS, SHAPES, TEXTURES, Look, with_article
from training import Losses, Options, Training, parse
from words import TEXT_LENGTH, make_tokenizer

WIDTH = 128
OBJECTS = 3  # at most in a caption
LOOKS = (*COLOURS, *TEXTURES, *SHAPES)
# The object that is being named looks so; the first one does, the second one, the third one; the background is this.
FACTS = {fact: k for k, fact in enumerate([*LOOKS, *((i, look) for i in range(OBJECTS) for look in LOOKS), *GROUNDS])}

Saying = list[tuple[str, set]]  # words, and the facts that are known after each


def make_text_encoder() -> CLIPTextModel:
    return CLIPTextModel(text_config(make_tokenizer(), WIDTH, 4 * WIDTH, layers=3))


class Reader(nn.Module):
    """What is trained: the text encoder, and the linear map that tells what it has understood."""

    def __init__(self, text_encoder: CLIPTextModel) -> None:
        super().__init__()
        self.text_encoder, self.tell = text_encoder, nn.Linear(text_encoder.config.hidden_size, len(FACTS))

    def forward(self, words: Tensor) -> Tensor:
        """Token ids [B, T] to logits of FACTS, [B, T, F]."""
        return self.tell(self.text_encoder(words)[0])


# ---- captions ----------------------------------------------------------------------------------------------------


def say(rng: np.random.Generator) -> Saying:
    """A caption by chance, of objects, a place, or both."""
    known, saying = set(), []
    objects = int(rng.choice([0, 1, 2, 3], p=[0.05, 0.45, 0.25, 0.25]))
    articles = str(rng.choice(["a", "a", "the", ""]))
    for i in range(objects):
        if i:
            saying.append(("and" if i == objects - 1 else ",", known))
        look = Look(*(str(rng.choice([*kind])) for kind in (SHAPES, COLOURS, TEXTURES)))
        known = {fact for fact in known if fact not in LOOKS}
        if articles:
            saying.append((with_article(look.name).split()[0] if articles == "a" else articles, known))
        for word in look.words:
            facts = {look.texture, word} if word == look.shape else {word}
            known = known | facts | {(i, fact) for fact in facts}
            saying.append((reworded(rng, word), known))
    if not objects or rng.uniform() < 0.7:
        kind = str(rng.choice([*GROUNDS]))
        *words, noun = GROUNDS[kind].place.split()
        saying += [(word, known) for word in words] + [(noun, known | {kind})]
    return saying


@lru_cache
def tokenizer():
    return make_tokenizer()


def token_ids(captions: list[str]) -> Tensor:
    """Captions to int64 [B, 77], as the pipeline reads them."""
    options = {"padding": "max_length", "truncation": True, "return_tensors": "pt"}
    return tokenizer()(captions, max_length=TEXT_LENGTH, **options).input_ids


def draw(rng: np.random.Generator, batch: int) -> tuple[Tensor, Tensor]:
    """Captions as token ids int64 [B, 77], and what is known after each token: float32 [B, 77, F], 0 or 1."""
    sayings = [say(rng) for _ in range(batch)]
    facts = torch.zeros(batch, TEXT_LENGTH, len(FACTS))
    for row, saying in zip(facts, sayings, strict=True):
        for token in range(1, TEXT_LENGTH):  # the first one says that a text begins
            for fact in saying[min(token, len(saying)) - 1][1]:
                row[token, FACTS[fact]] = 1
    return token_ids([" ".join(word for word, _ in saying) for saying in sayings]), facts


def losses_of(reader: Reader, words: Tensor, facts: Tensor) -> Losses:
    return {"facts": F.binary_cross_entropy_with_logits(reader(words), facts)}


# ---- what is written ---------------------------------------------------------------------------------------------


@torch.no_grad()
def understood(reader: Reader, captions: int = 500) -> float:
    """The share of captions of which every fact is known at the end."""
    words, facts = draw(np.random.default_rng(2**32), captions)
    told = reader(words.to(reader.tell.weight.device))[:, -1].cpu() > 0
    return (told == (facts[:, -1] > 0)).all(1).float().mean().item()


def save(reader: Reader, out: Path) -> None:
    """The encoder and its tokenizer."""
    print(f"\nUnderstood: {understood(reader):.1%}")
    parts = {"text_encoder": deepcopy(reader.text_encoder).half(), "tokenizer": make_tokenizer()}
    for name, part in parts.items():
        partial = out / f"{name}.partial"
        part.save_pretrained(partial)
        for path in partial.glob("*.json"):
            strip(path)
        shutil.rmtree(out / name, ignore_errors=True)
        partial.rename(out / name)
    save_vocabulary(out / "tokenizer")


def train(options: Options) -> None:
    torch.manual_seed(options.seed)
    folder = options.out / "text_encoder"
    reader = Reader(CLIPTextModel.from_pretrained(folder) if options.resume else make_text_encoder())
    training = Training(reader, options)

    def losses() -> Losses:
        words, facts = draw(training.rng, options.batch)
        return losses_of(reader, words.to(options.place), facts.to(options.place))

    training.run(losses, partial(save, out=options.out))


if __name__ == "__main__":
    train(parse(__doc__, "diffusion", minutes=8, batch=32, rate=1e-3))
