"""Rule `flow`: motion of the original video in a block."""

from clevam.adapter import stage

with stage(snakemake) as settings:
    from clevam import flow
    from clevam.files import read_json

    flow.measure(
        snakemake.input.source,
        snakemake.output[0],
        index=read_json(snakemake.input.index),
        **{key: settings[key] for key in ("motion", "frames", "preset")},
    )
