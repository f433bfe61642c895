"""Motion of the ORIGINAL video around A, from every frame to its two neighbouring keyframes.

REQUIRED INPUTS: keyframes/<video>/index.json, plan/<find>.json, the source video
OUTPUTS:
    flow/<find>/<block>/<idx>.npz    see scripts/clevam/flow.py for the format

It depends on the source and on where A is, never on what A becomes.
"""


rule flow:
    input:
        index=lambda wildcards: ancient(f"keyframes/{FINDS[wildcards.find].video}/index.json"),
        plan=ancient("plan/{find}.json"),
        source=lambda wildcards: source_of(FINDS[wildcards.find].video),
    output:
        directory("flow/{find}/{block}"),
    log:
        "logs/flow/{find}/{block}.log",
    benchmark:
        "benchmarks/flow/{find}/{block}.tsv"
    conda:
        "../envs/flow.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        settings=lambda wildcards: dict(
            preset=FINDS[wildcards.find].flow["preset"],
            frames=frames_of(wildcards.block),
            motion=motion_in(wildcards),
            source=index_of(FINDS[wildcards.find].video)["source"]["sha256"],
            code=code("flow", "flow"),
        ),
    message:
        "flow: motion around {wildcards.find}, block {wildcards.block}"
    script:
        "../scripts/flow.py"
