"""docs/demo.png: frames of a clip above the same frames of its edit."""

import sys

import av
import numpy as np
from PIL import Image

FRAMES = (0, 30, 54, 90)


def main(source: str, result: str, target: str) -> None:
    rows = [np.hstack([frame[::2, ::2] for frame in frames(path)]) for path in (source, result)]
    Image.fromarray(np.vstack(rows)).quantize(256).save(target, optimize=True)


def frames(path: str) -> list[np.ndarray]:
    """FRAMES of a video as uint8 RGB [H, W, 3]."""
    with av.open(path) as container:
        return [f.to_ndarray(format="rgb24") for i, f in enumerate(container.decode(video=0)) if i in FRAMES]


if __name__ == "__main__":
    main(*sys.argv[1:])
