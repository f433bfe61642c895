"""The tokenizer of the demo's Stable Diffusion: CLIP's byte-level BPE, with one token for every word of the toy world.

Any other text, in any script, is spelled byte by byte, so nothing is ever unknown.
"""

from itertools import pairwise

from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPTokenizer

from checkpoint import TEXT_LENGTH
from grounds import GROUNDS
from things import COLOURS, SAME, SHAPES, TEXTURES

END_OF_WORD = "</w>"
ENDS = ("<|startoftext|>", "<|endoftext|>")


def world_words() -> list[str]:
    """Every word that a caption or a phrase may contain, in alphabetical order."""
    places = [word for ground in GROUNDS.values() for word in ground.place.split()]
    return sorted({*COLOURS, *SHAPES, *TEXTURES, *GROUNDS, *places, *SAME, "a", "an", "the", "and", "then"})


def learn_merges(words: list[str]) -> list[tuple[str, str]]:
    """Merges, in their order, that make each of the words one token.

    What a word has become by the merges so far is joined from left to right. Later merges come too late to break it:
    BPE prefers the earlier ones as long as one of them fits.
    """
    merges: list[tuple[str, str]] = []
    for word in words:
        first, *rest = spell(word, merges)
        for piece in rest:
            merges.append((first, piece))
            first += piece
    return merges


def spell(word: str, merges: list[tuple[str, str]]) -> list[str]:
    """The pieces of a word of ASCII letters after all merges that fit, always the earliest one first."""
    rank = {pair: i for i, pair in enumerate(merges)}
    pieces = [*word[:-1], word[-1] + END_OF_WORD]
    while fitting := rank.keys() & set(pairwise(pieces)):
        pair = min(fitting, key=rank.__getitem__)
        k = list(pairwise(pieces)).index(pair)
        pieces[k : k + 2] = ["".join(pair)]
    return pieces


def letters() -> list[str]:
    """The 256 bytes as CLIP writes them, inside of a word and at its end."""
    alphabet = sorted(ByteLevel.alphabet())
    return [*alphabet, *(byte + END_OF_WORD for byte in alphabet)]


def make_tokenizer() -> CLIPTokenizer:
    """Tokens in CLIP's order: bytes, bytes that end a word, merges, start, end."""
    merges = learn_merges(world_words())
    tokens = dict.fromkeys([*letters(), *map("".join, merges), *ENDS])  # two merges may make the same piece
    vocab = {token: i for i, token in enumerate(tokens)}
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=TEXT_LENGTH)
