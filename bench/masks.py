"""bench-masks: from words to masks on the keyframes of clips with distractors, posts in front, and A that leaves, and
from true masks on keyframes to the frames between.

Identity switches are counted on the true masks of all objects with scores by chance, so that only looks and motion tell
them apart. The diffusion model looks at a fifth of them. The quick one takes 6 clips.
"""

import sys

from harness import Figure, arguments, report
from layouts import measured_in

SEEDS = range(900_100, 900_150)
WORDS = {
    "keyframes": ("IoU", ">= 0.88"),
    "right instance": ("%", ">= 95"),
    "nothing where A is not": ("%", None),
    "seconds": ("s", None),
}
BETWEEN = {
    "between, flow": ("IoU", ">= 0.85"),
    "between, segment": ("IoU", ">= 0.88"),
    "seconds, flow": ("s", None),
    "seconds, segment": ("s", None),
}


def main() -> int:
    args = arguments(__doc__)
    seeds = args.seeds or (SEEDS[:6] if args.quick else SEEDS)
    ends = seeds[0], seeds[-1] + 1
    words = measured_in("masks", "measure_masks", "words", *ends)
    figures = [Figure(name, words[name], *kind) for name, kind in WORDS.items()]
    switches = measured_in("masks", "measure_masks", "switches", *ends)
    figures += [Figure(name, value, "", "<= 0") for name, value in switches.items()]
    between = measured_in("masks", "measure_masks", "between", *ends)
    figures += [Figure(name, between[name], *kind) for name, kind in BETWEEN.items()]
    alone = measured_in("edit", "measure_masks", "attention", ends[0], ends[0] + max(1, len(seeds) // 5))
    figures.append(Figure("attention", alone["keyframes"], "IoU", ">= 0.6"))
    figures.append(Figure("attention, seconds", alone["seconds"], "s"))
    return report("masks", figures)


if __name__ == "__main__":
    sys.exit(main())
