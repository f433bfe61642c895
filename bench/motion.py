"""bench-motion: how well, how fast and in how much room edited keyframes reach the frames between them.

Source frames stand in for edited ones: what comes out should be the source again. Real clips are taken from
CLEVAM_CLIPS, where there are any; simpler ways run beside ours, and as many evenly spaced keyframes
beside adaptive ones. The quick one takes 3 clips of the demo world.
"""

import os
import sys
from pathlib import Path

from harness import ROOT, Figure, arguments, report
from layouts import measured_in

SEEDS = range(900_200, 900_230)
SCENES = (900_205, 900_209, 900_212)
CLIPS = {"man-skiing": 32.6, "wolf": 35.9, "flamingo": 29.0, "puff": 39.0}
DEMO = {
    "inside": ("dB", ">= 32"),
    "masks": ("IoU", ">= 0.85"),
    "rim": ("%", "<= 3"),
    "bytes": ("", "<= 1"),
}


def main() -> int:
    args = arguments(__doc__)
    seeds = args.seeds or (SEEDS[:3] if args.quick else SEEDS)
    values = measured_in("out", "measure_motion", "demo", seeds[0], seeds[-1] + 1)
    figures = [Figure(name, values[name], *kind) for name, kind in DEMO.items()]
    folder = Path(os.environ.get("CLEVAM_CLIPS", ROOT.parent / "shared" / "clips"))
    for name, least in CLIPS.items():
        if (path := folder / f"{name}.mp4").exists():
            ways = measured_in("out", "measure_motion", "clip", path)
            target = {"ours": f">= {least}"}
            figures += [Figure(f"{name}, {way}", value, "dB", target.get(way)) for way, value in ways.items()]
    scenes = [str(seed) for seed in (SCENES[:1] if args.quick else SCENES)]
    for clip in scenes + [str(path) for name in CLIPS if (path := folder / f"{name}.mp4").exists()]:
        found = measured_in("out", "measure_motion", "adaptive", clip)
        figures += [
            Figure(f"{Path(clip).stem}, {name}", value, "dB" if "," in name else "") for name, value in found.items()
        ]
    times = measured_in("out", "measure_motion", "speed", 2 if args.quick else 10)
    figures += [Figure(f"{stage}, of ffmpeg alone", times[stage], "x") for stage in ("flow", "carry", "out")]
    figures.append(Figure("flow + out, of ffmpeg alone", times["flow"] + times["out"], "x", "<= 3"))
    figures.append(Figure("object, of the picture", 100 * times["share"], "%"))
    short, long = (96, 480) if args.quick else (300, 6000)
    few, many = (measured_in("out", "measure_motion", "memory", n) for n in (short, long))
    figures.append(Figure(f"memory of {long} frames, of that of {short}", many / few, "x", "<= 1.1"))
    return report("motion", figures)


if __name__ == "__main__":
    sys.exit(main())
