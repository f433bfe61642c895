"""Rule `edit`: the keyframes of a block, edited while looking at the reference."""

from clevam.adapter import stage

with stage(snakemake) as settings:
    from clevam import edit

    edit.block(
        settings["names"],
        list(snakemake.input.keyframes),
        list(snakemake.input.masks),
        snakemake.output[0],
        reference=settings["reference"],
        picture=snakemake.input.picture,
        cache=snakemake.input.cache,
        crops=settings["crops"],
        settings=settings,
        machine=edit.Machine(snakemake.resources.model, snakemake.resources.device, snakemake.threads),
    )
