"""The tokenizer of the demo's Stable Diffusion."""

import json

import pytest
from transformers import CLIPTokenizer

import checkpoint
from scenery import picture
from words import make_tokenizer, world_words
from world import still


@pytest.fixture(scope="module")
def tokenizer() -> CLIPTokenizer:
    return make_tokenizer()


def test_every_word_of_the_world_is_one_token(tokenizer):
    assert {word: pieces for word in world_words() if len(pieces := tokenizer.tokenize(word)) != 1} == {}


def test_every_caption_has_as_many_tokens_as_words_and_commas(tokenizer):
    captions = [still(seed, (8, 8)).caption for seed in range(40)] + [picture(seed, 8).caption for seed in range(40)]
    words = [caption.replace(",", " ,").split() for caption in captions]
    assert [len(tokenizer.tokenize(caption)) for caption in captions] == [len(each) for each in words]


@pytest.mark.parametrize("text", ["a ball", "żółta piłka", "赤いボール", "une étoile 🌟", "moons onions starry"])
def test_any_other_text_survives(tokenizer, text):
    ids = tokenizer(text).input_ids
    assert max(ids) < len(tokenizer)
    assert tokenizer.decode(ids, skip_special_tokens=True).strip() == text


def test_a_text_is_padded_to_77_tokens(tokenizer):
    for text in ("", "a red star", "a red star on grass " * 40):
        assert len(tokenizer(text, padding="max_length", truncation=True).input_ids) == 77


def test_the_files_of_clip_say_the_same(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    checkpoint.save_vocabulary(tmp_path)
    vocab = json.loads((tmp_path / "vocab.json").read_text())
    merges = [tuple(line.split()) for line in (tmp_path / "merges.txt").read_text().splitlines()[1:]]
    again = CLIPTokenizer(vocab=vocab, merges=merges)
    text = "a blue dotted star in front of a brick wall"
    assert again(text).input_ids == tokenizer(text).input_ids
