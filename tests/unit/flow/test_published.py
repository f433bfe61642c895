"""The names under which torchvision publishes weights."""

from torchvision.models import AlexNet_Weights, SqueezeNet1_1_Weights, VGG16_Weights
from torchvision.models.optical_flow import Raft_Large_Weights, Raft_Small_Weights

from clevam.addresses import PUBLISHED


def test_the_names_and_the_files_are_torchvisions():
    every = [*Raft_Large_Weights, *Raft_Small_Weights]
    every += [kind.IMAGENET1K_V1 for kind in (AlexNet_Weights, SqueezeNet1_1_Weights, VGG16_Weights)]
    assert {
        str(weights): weights.url.removeprefix("https://download.pytorch.org/models/") for weights in every
    } == PUBLISHED
