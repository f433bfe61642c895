"""Rule `perceive`: a result beside its source, as trained networks see them."""

from clevam.adapter import stage

with stage(snakemake) as settings:
    from clevam import warm

    warm.go_on("clevam.perceive")
    from clevam import perceive
    from clevam.device import pick_device
    from clevam.files import read_json
    from clevam.measure import Masks

    inputs, index = snakemake.input, read_json(snakemake.input.index)
    device, eyes = pick_device(snakemake.resources.device), []
    if settings["lpips"]:
        eyes.append(perceive.Lpips(settings["lpips"], device))
    if settings["clip"]:
        eyes.append(perceive.Clip(snakemake.resources.clip, settings["words"], device))
    perceive.perceive(
        inputs.source,
        inputs.result,
        snakemake.output[0],
        index=index,
        masks=Masks.of(inputs, settings, index),
        eyes=eyes,
    )
