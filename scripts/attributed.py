"""Rule `attributed`: what may be A on the keyframes of a block, as the diffusion model sees it."""

from clevam.adapter import stage

with stage(snakemake) as settings:
    from clevam import candidates, warm

    warm.go_on("clevam.edit")  # which will need it soon
    from clevam.attribution import Attribution
    from clevam.diffusion import Machine
    from clevam.files import read_json

    names, files = settings["names"], list(snakemake.input.files)
    options = {key: settings[key] for key in ("size", "multiple", "dtype", "tiling", "variant")}
    find = Attribution(Machine.of(snakemake), **options)
    found = candidates.search(dict(zip(names, files, strict=True)), settings["phrases"], find)
    candidates.write_all(snakemake.output[0], read_json(snakemake.input.index)["stream"]["upright"], found)
