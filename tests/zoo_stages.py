"""A stage's library, asked from outside of its environment: one process for each question, watched.

Started with the Python of an environment. Reads questions as lines of JSON, {"do": "index" | "film", ...}, and answers
each with a line: {"error": a UserError's words, or None; "crash": anything else; "mb": the most memory it took;
"seconds"}.
"""

import json
import os
import resource
import signal
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path

LIMIT = 2 << 30  # bytes of address space beyond what the imports take
SECONDS = 60
BOX = 0.25, 0.75  # where A is, in shares of either side
INK = (255, 0, 255)


def index(path: str, folder: str, limits: dict | None = None) -> None:
    """What the rules `keyframes` and `extract` do, every frame a keyframe."""
    from clevam import keyframes
    from clevam.files import read_json

    target = f"{folder}/index.json"
    limited = {"limits": limits} if limits else {}
    keyframes.index(
        path, target, method={"every": 1}, cut_threshold=27.0, span=None, strict=False, block=1 << 20, **limited
    )
    found = read_json(target)
    keyframes.extract(path, f"{folder}/keyframes", index=found, names=found["keyframes"])


def film(path: str, folder: str, container: str = "mp4", **encode: object) -> None:
    """What the rules `stretch` and `out` do with a box of ink painted into every frame."""
    import numpy as np

    from clevam import images, join, propagate
    from clevam.files import read_json

    index = read_json(f"{folder}/index.json")
    width, height = index["stream"]["upright"]
    edited, masks, last = {}, {}, len(index["pts"]) - 1
    mask = np.zeros((height, width), np.uint8)
    mask[box(height), box(width)] = 1
    images.write_labels(f"{folder}/mask.png", mask, 1)
    for name in index["keyframes"]:
        picture = images.read_rgb(f"{folder}/keyframes/{name}.png").copy()
        picture[mask > 0] = INK
        edited[name], masks[name] = f"{folder}/edited/{name}.png", f"{folder}/mask.png"
        images.write_png(edited[name], picture)
    plan = {"regions": 1, "motion": []}
    settings = {"codec": "libx264", "crf": 18, "preset": "ultrafast", "lossless": False, "pix_fmt": None, "extra": {}}
    parts = []
    for first in range(0, last + 1, 8):
        parts.append(f"{folder}/{first:04d}.nut")
        propagate.render(
            path, parts[-1], index=index, frames=[first, min(first + 7, last)], plan=plan, edited=edited, masks=masks,
            between={}, flows={}, block=1 << 20, rim=0, encode=settings | encode,
        )  # fmt: skip
    join.join(parts, f"{folder}/out.{container}", source=path, index=index)


def box(length: int) -> slice:
    """Where A is along a side; at least a pixel."""
    first = int(BOX[0] * length)
    return slice(first, max(int(BOX[1] * length), first + 1))


def answer(question: dict) -> dict:
    """Do it in a process of its own."""
    read, write = os.pipe()
    start = time.monotonic()
    if not (child := os.fork()):
        told = {"error": None, "crash": None}
        try:
            from clevam.errors import UserError

            size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (size + LIMIT, size + LIMIT))
            signal.alarm(SECONDS)
            try:
                globals()[question.pop("do")](**question)
            except UserError as error:
                told["error"] = str(error)
        except BaseException:
            told["crash"] = traceback.format_exc()
        with os.fdopen(write, "w") as pipe:
            json.dump(told, pipe)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    _, status, used = os.wait4(child, 0)
    told = json.loads(text) if text else {"error": None, "crash": f"ended by signal {os.WTERMSIG(status)}"}
    return told | {"mb": used.ru_maxrss / 1024, "seconds": time.monotonic() - start}


def main() -> None:
    import av  # noqa: F401
    import cv2

    cv2.setNumThreads(1)  # a fork has no other thread
    with suppress(ImportError):
        from clevam import keyframes  # noqa: F401
    with suppress(ImportError):
        from clevam import join, propagate  # noqa: F401
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
