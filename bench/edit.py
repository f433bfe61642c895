"""bench-edit: edits of the demo world's clips, each with a distractor in it, for four settings of the attention.

Success is what the probe reads inside the mask, as a share of what the same checkpoint gets right when it draws from
words alone. Spread is that of the edited object's mean Lab colour over the keyframes of a clip. The quick one takes 6
clips and 20 pictures.
"""

import sys

from harness import Figure, arguments, report
from layouts import measured_in

SEEDS = range(900_000, 900_050)
ALONE = range(900_000, 900_200)
LEAST = {"colour": 0.95, "texture": 0.95, "shape": 0.85}


def main() -> int:
    args = arguments(__doc__)
    seeds = args.seeds or (SEEDS[:6] if args.quick else SEEDS)
    drawn = ALONE[:20] if args.quick else ALONE
    alone = measured_in("edit", "measure_painter", drawn[0], drawn[-1] + 1)
    values = measured_in("edit", "measure_edit", "settings", seeds[0], seeds[-1] + 1)
    few, many = (measured_in("edit", "measure_edit", "memory", seeds[0], count) for count in (2, 12))
    shown = {name: value for name, value in alone.items() if name.startswith("drawn ")} | values
    figures = [Figure(name, value, unit(name)) for name, value in shown.items()]
    kinds = [kind for kind in LEAST if f"both: {kind}" in values]
    for kind in kinds:
        share = values[f"both: {kind}"] / alone[f"drawn {kind}"]
        figures.append(Figure(f"{kind}, of what it draws from words", share, "x", f">= {LEAST[kind]}"))
    gain = min(values[f"both: {kind}"] - values[f"regions only: {kind}"] for kind in kinds)
    spread = values["both: spread"] / values["regions only: spread"]
    figures += [
        Figure("success by sharing, least gain", gain, "%", ">= 0"),
        Figure("spread with sharing, of that without", spread, "x", "<= 0.6"),
        Figure("exact outside", values["both: exact outside"], "%", ">= 100"),
        Figure("memory of 12 keyframes, of that of 2", many / few, "x", "<= 1.05"),
    ]
    return report("edit", figures)


def unit(name: str) -> str:
    return {"spread": "Lab", "PSNR": "dB", "around": "grey", "seconds": "s"}.get(name.rpartition(": ")[2], "%")


if __name__ == "__main__":
    sys.exit(main())
