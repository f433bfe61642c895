"""Every stage's environment, built and proven ahead of time: `snakemake environments`.

REQUIRED INPUTS: envs/<env>.yaml
OUTPUTS:
    work/environments/<env>.json    its prefix, and where each package that the stage names was imported from
"""

ENVIRONMENTS = [path.stem for path in sorted((ROOT / "envs").glob("*.yaml"))]


wildcard_constraints:
    env=one_of(ENVIRONMENTS),


rule environments:
    input:
        expand("work/environments/{env}.json", env=ENVIRONMENTS),


rule environment:
    output:
        "work/environments/{env}.json",
    log:
        "logs/environments/{env}.log",
    conda:
        "../envs/{env}.yaml"
    params:
        settings=lambda wildcards: dict(
            packages=requirements(wildcards.env), code=code("environment", wildcards.env)
        ),
    message:
        "environment: {wildcards.env}"
    script:
        "../scripts/environment.py"
