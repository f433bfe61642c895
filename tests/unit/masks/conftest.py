"""A tiny detector and a tiny segmenter with random weights."""

from pathlib import Path

import numpy as np
import pytest

# The packages of the published models are older than what they run on.
OUTDATED = (
    "ignore:Importing from timm.models.layers is deprecated:FutureWarning",
    "ignore:torch.meshgrid. in an upcoming release:UserWarning",
    r"ignore:.torch.cuda.amp.autocast\(args...\). is deprecated:FutureWarning",
    "ignore:The .device. argument is deprecated and will be removed in v5 of Transformers:FutureWarning",
)


def pytest_configure(config: pytest.Config) -> None:
    for warning in OUTDATED:
        config.addinivalue_line("filterwarnings", warning)


@pytest.fixture(scope="session")
def finders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with grounding/ and segmentation/. Do not change it: copy what you need."""
    import random_finders

    folder = tmp_path_factory.mktemp("models")
    random_finders.save(folder)
    return folder


class Code:
    """What makes a folder as soon as it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple:
        return Path.mkdir, (self.folder,)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A random picture, uint8 RGB."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
