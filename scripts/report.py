"""Rule `report`: a clip's results as one page."""

from clevam.adapter import stage

with stage(snakemake) as settings:
    from clevam import page
    from clevam.files import read_json

    inputs = snakemake.input
    perceived = inputs.perceived or [None] * len(settings["edits"])
    each = zip(settings["edits"].items(), inputs.plans, inputs.masks, inputs.measured, perceived, strict=True)
    page.write(
        snakemake.output.page,
        snakemake.output.numbers,
        video=snakemake.wildcards.video,
        index=read_json(inputs.index),
        config=read_json(snakemake.resources.config),
        edits={
            job: edit | {"plan": read_json(plan), "masks": read_json(masks), "folder": folder, "perceived": seen}
            for (job, edit), plan, masks, folder, seen in each
        },
        limits=settings["alarm"],
        models=settings["models"],
        versions=settings["versions"],
    )
