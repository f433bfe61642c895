"""The names under which torchvision publishes RAFT's weights."""

from torchvision.models.optical_flow import Raft_Large_Weights, Raft_Small_Weights

from clevam.addresses import PUBLISHED


def test_the_names_and_the_files_are_torchvisions():
    every = [*Raft_Large_Weights, *Raft_Small_Weights]
    assert {
        str(weights): weights.url.removeprefix("https://download.pytorch.org/models/") for weights in every
    } == PUBLISHED
