"""Motion of the ORIGINAL video around A, from every frame to its two neighbouring keyframes.

REQUIRED INPUTS: keyframes/<video>/index.json, plan/<find>.json, the source video; for RAFT, the weights in models.flow
OUTPUTS:
    flow/<find>/<block>/<idx>.npy.gz see scripts/clevam/flow.py for the format

It depends on the source and on where A is, never on what A becomes.
"""


rule flow:
    input:
        index=lambda wildcards: ancient(f"keyframes/{FINDS[wildcards.find].video}/index.json"),
        plan=planned,
        source=lambda wildcards: source_of(FINDS[wildcards.find].video),
    output:
        directory("flow/{find}/{block}"),
    log:
        "logs/flow/{find}/{block}.log",
    benchmark:
        "benchmarks/flow/{find}/{block}.tsv"
    group:
        blocks_to_a_job("flow")
    conda:
        "../envs/flow.yaml"
    threads: lambda wildcards: 4 if by_raft(wildcards.find) else 1
    resources:
        **on_gpu("raft", where=lambda wildcards: by_raft(wildcards.find), without=2000),
        model=lambda wildcards: model("flow") if by_raft(wildcards.find) else "none",
    params:
        settings=flow_settings,
    message:
        "flow: motion around {wildcards.find}, block {wildcards.block}"
    script:
        "../scripts/flow.py"
