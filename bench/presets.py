"""bench-presets: the methods of config/presets on the demo world: what they get right, what they change, their cost.

Of each: per cent of keyframes that the probe reads as asked, by kind of edit; spread of the edited object's mean Lab
colour over a clip's keyframes; PSNR of colour edits against the true picture; how far the model's crop is from the
source around the object, in grey levels, before the source is pasted over it; seconds per keyframe. The quick one takes
6 clips.
"""

import sys

from edit import SEEDS, unit
from harness import Figure, arguments, report
from layouts import measured_in


def main(bench: str = "presets", about: str = __doc__) -> int:
    args = arguments(about)
    seeds = args.seeds or (SEEDS[:6] if args.quick else SEEDS)
    values = measured_in("edit", "measure_edit", bench, seeds[0], seeds[-1] + 1)
    print(table(values))
    return report(bench, [Figure(name, value, unit(name)) for name, value in values.items()])


def table(values: dict[str, float]) -> str:
    """Figures named "<row>: <column>" as Markdown."""
    cells = {tuple(name.rsplit(": ", 1)): value for name, value in values.items()}
    rows, columns = (list(dict.fromkeys(names)) for names in zip(*cells, strict=True))
    lines = [["", *columns], ["---"] * (len(columns) + 1)]
    lines += [[row, *(f"{cells.get((row, column), float('nan')):.3g}" for column in columns)] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
