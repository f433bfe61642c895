"""Rule `carried`: masks of the frames between keyframes in a block, by motion or as the user gave them."""

from clevam.adapter import stage

with stage(snakemake) as settings:
    from clevam import carry, locate
    from clevam.files import read_json
    from clevam.shapes import Tools
    from clevam.snap import snap

    plan, index, target = read_json(snakemake.input.plan), read_json(snakemake.input.index), snakemake.output[0]
    if settings["given"]:
        names = [f"{i:06d}" for i in carry.between(plan, settings["frames"])]
        size = index["stream"]["upright"]
        maps = locate.from_video(snakemake.input.given[0], names, settings["regions"], size) if names else ()
        carry.copy(maps, target, regions=plan["regions"], tools=Tools(**settings["tools"]))
    else:
        carry.write(
            snakemake.input.source,
            target,
            index=index,
            plan=plan,
            masks=dict(zip(settings["names"], snakemake.input.masks, strict=True)),
            flows=snakemake.input.flow,
            frames=settings["frames"],
            refine=snap if settings["snap"] else lambda picture, shares: shares,
        )
