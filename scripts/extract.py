"""Rule `extract`: the keyframes of a block as pictures."""

from clevam.adapter import stage

with stage(snakemake) as settings:
    from clevam import keyframes
    from clevam.files import read_json

    keyframes.extract(
        snakemake.input.source,
        snakemake.output[0],
        index=read_json(snakemake.input.index),
        names=settings["names"],
    )
