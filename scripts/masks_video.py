"""Rule `masks_video`: the masks of every frame as one video."""

from clevam.adapter import stage

with stage(snakemake) as settings:
    from clevam import carry
    from clevam.files import read_json

    index = read_json(snakemake.input.index)
    carry.film(
        snakemake.output[0],
        index=index,
        regions=settings["regions"],
        masks=dict(zip(index["keyframes"], snakemake.input.masks, strict=True)),
        folders=snakemake.input.between,
    )
