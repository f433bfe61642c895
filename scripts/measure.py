"""Rule `measure`: a result beside its source, in numbers and in small."""

from clevam.adapter import stage

with stage(snakemake) as settings:
    from clevam import measure
    from clevam.files import read_json

    inputs, index = snakemake.input, read_json(snakemake.input.index)
    measure.measure(
        inputs.source,
        inputs.result,
        snakemake.output[0],
        index=index,
        masks=measure.Masks.of(inputs, settings, index),
        sureness=measure.Sureness.of(inputs, settings, index),
        rim=settings["feather"],
        keyframes=dict(zip(settings["names"], inputs.keyframes, strict=True)),
        edited=dict(zip(settings["names"], inputs.edited, strict=True)),
    )
