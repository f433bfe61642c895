"""Motion of the ORIGINAL video around A, from every frame to its two neighbouring keyframes.

REQUIRED INPUTS: keyframes/<video>/index.json, plan/<find>.json, the source video; for RAFT, the weights in models.flow
OUTPUTS:
    flow/<find>/<block>/<idx>.npz    see scripts/clevam/flow.py for the format

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
    conda:
        "../envs/flow.yaml"
    threads: lambda wildcards: 4 if by_raft(wildcards.find) else 1
    resources:
        gpu=lambda wildcards: int(by_raft(wildcards.find)),
        mem_mb=lambda wildcards: 12000 if by_raft(wildcards.find) else 2000,
        runtime=60,
        model=lambda wildcards: model("flow") if by_raft(wildcards.find) else "none",
        device=RESOLVED.runtime.device,
    params:
        settings=flow_settings,
    message:
        "flow: motion around {wildcards.find}, block {wildcards.block}"
    script:
        "../scripts/flow.py"
