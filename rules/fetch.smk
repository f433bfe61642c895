"""The models that the configuration names, downloaded ahead of time: `snakemake fetch`.

REQUIRED INPUTS: a network; no other rule asks it
OUTPUTS: files in the caches of huggingface_hub (HF_HOME) and torch.hub (TORCH_HOME), which other programs share

It has no output of its own and looks again whenever it is asked for: a cache may have been emptied.
"""


rule fetch:
    log:
        "logs/fetch.log",
    localrule: True
    conda:
        "../envs/fetch.yaml"
    params:
        settings=lambda wildcards: dict(
            models={f"models.{key}": named(key) for job in JOBS for key in model_keys(job)},
            variant=RESOLVED.models.variant,
            folders=[str(Path.cwd()), str(ROOT)],
        ),
    message:
        "fetch: what the configuration names"
    script:
        "../scripts/fetch.py"
