"""Rule `segmented`: masks of the frames between keyframes in a block, by the segmenter."""

from clevam.adapter import stage

with stage(snakemake) as settings:
    from clevam import carry, warm

    warm.go_on("clevam.finder")
    from clevam.files import read_json
    from clevam.outline import Outline
    from clevam.shapes import Tools

    carry.write(
        snakemake.input.source,
        snakemake.output[0],
        index=read_json(snakemake.input.index),
        plan=read_json(snakemake.input.plan),
        masks=dict(zip(settings["names"], snakemake.input.masks, strict=True)),
        flows=snakemake.input.flow,
        frames=settings["frames"],
        refine=Outline(
            snakemake.resources.model, snakemake.resources.device, settings["whole"], Tools(**settings["tools"])
        ),
    )
