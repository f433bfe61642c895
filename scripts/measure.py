"""Rule `measure`: a result beside its source, in numbers and in small."""

from pathlib import Path

from clevam.adapter import stage

with stage(snakemake) as settings:
    from clevam import measure
    from clevam.files import read_json

    inputs, index, block = snakemake.input, read_json(snakemake.input.index), settings["block"]
    between, flows = ({Path(folder).name: folder for folder in each} for each in (inputs.between, inputs.flow))
    masks = dict(zip(settings["names"], inputs.masks, strict=True))
    size = tuple(index["stream"]["upright"])
    measure.measure(
        inputs.source,
        inputs.result,
        snakemake.output[0],
        index=index,
        masks=measure.Masks(masks, between, block, settings["regions"], size),
        sureness=measure.Sureness(read_json(inputs.plan)["motion"], flows, block, size),
        rim=settings["feather"],
        keyframes=dict(zip(settings["names"], inputs.keyframes, strict=True)),
        edited=dict(zip(settings["names"], inputs.edited, strict=True)),
    )
