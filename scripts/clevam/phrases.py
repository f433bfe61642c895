"""Several phrases in one text embedding, as the code of Shape-guided Diffusion has it (Park et al., WACV 2024).

Of each phrase, encoded by itself, the first n tokens after its start token are kept, its end and padding among them;
the start token is that of the empty text. In a region the words of other phrases and the start token say nothing, its
own are amplified, since the softmax has spread over all of them.
"""

from difflib import SequenceMatcher

import torch
from torch import Tensor

from clevam.errors import UserError

GAIN = 2.5  # of the words of a region


def splice(empty: Tensor, phrases: list[Tensor]) -> Tensor:
    """Embeddings [B, T, C] of the empty text and of the phrases as one [B, T, C]."""
    room = room_of(empty, len(phrases))
    parts = [phrase[:, 1 : 1 + room] for phrase in phrases]
    spare = empty.shape[1] - 1 - room * len(phrases)
    return torch.cat([empty[:, :1], *parts, empty[:, empty.shape[1] - spare :]], 1)


def weights(embedding: Tensor, count: int, fixed: list[set[int]] | None = None) -> list[Tensor]:
    """Of each of `count` phrases in a splice [B, T, C], what its region makes of every token: float32 [T].

    fixed: of each phrase the tokens, counted from its start token, that it shares with the source's: not amplified.
    """
    room, result = room_of(embedding, count), []
    for r in range(count):
        row = torch.zeros(embedding.shape[1], device=embedding.device)
        for place in range(1, 1 + room):
            row[r * room + place] = 1.0 if fixed and place in fixed[r] else GAIN
        result.append(row)
    return result


def room_of(embedding: Tensor, count: int) -> int:
    """Tokens for each phrase. Raises UserError if there are too many."""
    if not (room := (embedding.shape[1] - 1) // count):
        raise UserError(f"edit.attention.words: official has no room for {count - 1} regions; set it to renorm")
    return room


def kept(source: list[int], wanted: list[int], end: int) -> set[int]:
    """The places in the wanted phrase's tokens where runs stand that the source's has too and that begin before its
    `end` token; both begin with the start token, which does not count."""
    stop = wanted.index(end)
    runs = SequenceMatcher(None, source, wanted, autojunk=False).get_matching_blocks()
    return {place for run in runs if run.b < stop for place in range(run.b, run.b + run.size)} - {0}
