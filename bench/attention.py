"""bench-attention: what regions and sharing cost, at the real sizes of Stable Diffusion 1.5 with random weights.

Ratios are of two ways in one run: one masked attention over own and reference tokens, the network's plain step. The
quick one leaves out the whole network.
"""

import sys

from harness import Figure, arguments, report
from layouts import measured_in

TARGETS = {
    "4096 tokens": "<= 0.40",
    "1024 tokens": "<= 0.50",
    "cache, kv, 15%": "<= 450",
    "cache, kv, 40%": "<= 1200",
    "cache, hidden, 15%": "<= 225",
    "cache, hidden, 40%": "<= 600",
    "whole step": "<= 1.10",
}


def main() -> int:
    args = arguments(__doc__)
    values = measured_in("edit", "measure_attention", "quick" if args.quick else "full")
    targets = {name: next(target for start, target in TARGETS.items() if name.startswith(start)) for name in values}
    units = {name: "MB" if name.startswith("cache") else "x" for name in values}
    return report("attention", [Figure(name, value, units[name], targets[name]) for name, value in values.items()])


if __name__ == "__main__":
    sys.exit(main())
