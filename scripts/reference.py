"""Rule `reference`: the first edit, and its attention for all others."""

from clevam.adapter import stage

with stage(snakemake) as settings:
    from clevam import edit

    (crop,) = settings["crop"].values()
    edit.reference(
        snakemake.input.keyframe,
        snakemake.input.mask,
        snakemake.output.picture,
        snakemake.output.cache,
        crop=crop,
        settings=settings,
        machine=edit.Machine(snakemake.resources.model, snakemake.resources.device, snakemake.threads),
    )
