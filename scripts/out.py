"""Rule `out`: the edited video, of the stretches and what else is in the source."""

from clevam.adapter import stage

with stage(snakemake) as settings:
    from clevam import join
    from clevam.files import check_sum, read_json

    for stretch, told in zip(snakemake.input.stretches, snakemake.input.sums, strict=True):
        check_sum(stretch, told)
    join.join(
        snakemake.input.stretches,
        snakemake.output[0],
        source=snakemake.input.source,
        index=read_json(snakemake.input.index),
    )
