"""Rule `stretch`: the edited picture of some frames."""

from clevam.adapter import stage

with stage(snakemake) as settings:
    from clevam import propagate
    from clevam.files import by_name, read_json, write_sum

    propagate.render(
        snakemake.input.source,
        snakemake.output.picture,
        index=read_json(snakemake.input.index),
        frames=settings["frames"],
        plan={"regions": settings["regions"], "motion": settings["motion"]},
        edited=dict(zip(settings["names"], snakemake.input.edited, strict=True)),
        masks=dict(zip(settings["names"], snakemake.input.masks, strict=True)),
        between=by_name(snakemake.input.between),
        flows=by_name(snakemake.input.flow),
        block=settings["block"],
        rim=settings["feather"],
        encode=settings["encode"],
        sources=dict(zip(settings["names"], snakemake.input.sources, strict=False)),
        follow_light=settings["follow_light"],
        smooth=settings["smooth"],
    )
    write_sum(snakemake.output.picture, snakemake.output.sum)
