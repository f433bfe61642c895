"""A small clip, and the index that the keyframes stage would make of one."""

from pathlib import Path

import pytest

from clevam import video
from clevam.orientation import upright_size
from clips import moving_square, write_clip


def index_of(path: Path) -> dict:
    facts = video.probe(path)
    pts = [frame.pts for _, frame in video.frames(path)]
    return {"stream": facts | {"upright": list(upright_size(facts))}, "pts": pts, "damage": None}


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """A square that moves a pixel a frame to the right, 10 frames of 96x64."""
    return write_clip(tmp_path_factory.mktemp("flow") / "clip.mp4", moving_square(10, (96, 64)), crf="5")
