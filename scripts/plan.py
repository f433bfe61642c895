"""Rule `plan`: what all keyframes of a clip share."""

from clevam.adapter import stage

with stage(snakemake) as settings:
    from clevam import plan
    from clevam.files import read_json

    plan.write(
        dict(zip(settings["names"], snakemake.input.masks, strict=True)),
        snakemake.output[0],
        index=read_json(snakemake.input.index),
        **{key: settings[key] for key in ("regions", "reference", "margin", "flow_margin", "rim", "size", "multiple")},
    )
