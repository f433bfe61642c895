"""bench-masks: from words to masks on the keyframes of clips with distractors, posts in front, and A that leaves.

Identity switches are counted on the true masks of all objects with scores by chance, so that only looks and motion tell
them apart. The quick one takes 6 clips.
"""

import sys

from harness import Figure, arguments, report
from layouts import measured_in

SEEDS = range(900_100, 900_150)
FIGURES = {
    "keyframes": ("IoU", ">= 0.88"),
    "right instance": ("%", ">= 95"),
    "nothing where A is not": ("%", None),
    "identity switches": ("", "<= 0"),
    "seconds": ("s", None),
}


def main() -> int:
    args = arguments(__doc__)
    seeds = args.seeds or (SEEDS[:6] if args.quick else SEEDS)
    values = measured_in("masks", "measure_masks", seeds[0], seeds[-1] + 1)
    return report("masks", [Figure(name, values[name], *kind) for name, kind in FIGURES.items()])


if __name__ == "__main__":
    sys.exit(main())
