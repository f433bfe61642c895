"""Several phrases in one embedding, as the authors of Shape-guided Diffusion have it."""

import pytest
import torch

from clevam import phrases
from clevam.errors import UserError

START, END = 90, 99


def tokens(*words: int) -> list[int]:
    """Ten tokens: the start, the words, the end, and the end again as padding."""
    return [START, *words, *[END] * (9 - len(words))]


def numbered(text: int) -> torch.Tensor:
    """An embedding [1, 77, 1] that says which token of which text it is of."""
    return (1000 * text + torch.arange(77.0))[None, :, None]


def test_two_phrases_share_the_room_behind_the_start_of_the_empty_text():
    found = phrases.splice(numbered(0), [numbered(1), numbered(2)]).flatten().tolist()
    assert found == [0, *range(1001, 1039), *range(2001, 2039)]


def test_room_that_does_not_divide_is_filled_with_the_empty_text():
    found = phrases.splice(numbered(0), [numbered(n) for n in (1, 2, 3)]).flatten().tolist()
    assert found == [0, *range(1001, 1026), *range(2001, 2026), *range(3001, 3026), 76]


def test_a_region_hears_its_own_words_amplified_and_no_others():
    first, second = (row.tolist() for row in phrases.weights(numbered(0), 2))
    assert first == [0] + [2.5] * 38 + [0] * 38
    assert second == [0] + [0] * 38 + [2.5] * 38


def test_more_phrases_than_tokens_are_refused():
    with pytest.raises(UserError, match="edit.attention.words: official has no room for 76 regions; set it to renorm"):
        phrases.weights(numbered(0), 77)


def test_words_that_stay_are_not_amplified():
    _, row = phrases.weights(numbered(0), 2, [set(), {1, 3}])
    assert row[39:43].tolist() == [1, 2.5, 1, 2.5]


@pytest.mark.parametrize(
    ("source", "wanted", "stay"),
    [
        ((5,), (7, 5), set(range(2, 10))),  # a word in front: the rest stays, end and padding with it
        ((4, 5), (4, 6), {1}),  # another last word: only the article stays
        ((4, 5), (4, 5), set(range(1, 10))),
        ((), (5,), set()),
    ],
)
def test_runs_that_stay_begin_before_the_end(source, wanted, stay):
    assert phrases.kept(tokens(*source), tokens(*wanted), END) == stay
