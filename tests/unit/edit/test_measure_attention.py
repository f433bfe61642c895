"""What bench-attention measures, on a small network: its quick run has none, so that a break there would go unseen."""

import pytest

from measure_attention import cache_size, captured, step_ratio


def test_a_guided_step_is_compared_with_the_plain_one(unet):
    assert step_ratio(unet, repeats=1) > 0


def test_hidden_states_take_half_the_room_of_keys_and_values(unet):
    kv, hidden = (cache_size(captured(unet, 0.25, kept), kept) for kept in ("kv", "hidden"))
    assert hidden / kv == pytest.approx(0.5, rel=0.1)
