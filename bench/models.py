"""bench-models: what the demo's trained models can do, on scenes that none of them has seen. The quick one takes 40."""

import sys

from harness import Figure, arguments, report
from layouts import measured_in

SEEDS = range(900_000, 900_200)
# Of each figure its unit and what it must reach; those without a target tell how much the others can be trusted.
FIGURES = {
    "painter loads": ("s", "<= 2"),
    "detector loads": ("s", "<= 2"),
    "segmenter loads": ("s", "<= 2"),
    "VAE": ("dB", ">= 30"),
    "probe on true pictures, colour": ("%", None),
    "probe on true pictures, texture": ("%", None),
    "probe on true pictures, shape": ("%", None),
    "probe on true pictures, background": ("%", None),
    "drawn colour": ("%", ">= 95"),
    "drawn texture": ("%", None),
    "drawn shape": ("%", ">= 85"),
    "drawn background": ("%", ">= 95"),
    "named object first": ("%", ">= 95"),
    "nothing found of absent objects": ("%", ">= 90"),
    "mask from the true box": ("IoU", ">= 0.92"),
    "mask from words": ("IoU", ">= 0.88"),
}


def main() -> int:
    args = arguments(__doc__)
    seeds = args.seeds or (SEEDS[:40] if args.quick else SEEDS)
    span = seeds[0], seeds[-1] + 1
    values = measured_in("edit", "measure_painter", *span) | measured_in("masks", "measure_finders", *span)
    return report("models", [Figure(name, values[name], *kind) for name, kind in FIGURES.items()])


if __name__ == "__main__":
    sys.exit(main())
