"""Which frames are edited, and those frames as pictures.

REQUIRED INPUTS: the source video of every clip (config: videos.<video>.path)
OUTPUTS:
    keyframes/<video>/index.json    stream facts, times, shots, keyframes, blocks; everything below reads its lists
    keyframes/<video>/<idx>.png     the keyframes, upright RGB
"""


checkpoint keyframes:
    input:
        lambda wildcards: clip(wildcards.video),
    output:
        "keyframes/{video}/index.json",
    log:
        "logs/keyframes/{video}.log",
    benchmark:
        "benchmarks/keyframes/{video}.tsv"
    priority: 10
    conda:
        "../envs/keyframes.yaml"
    resources:
        mem_mb=1000,
        runtime=30,
        # Not tracked: what is within other limits is the same.
        limit_frames=RESOLVED.limits.frames,
        limit_pixels=RESOLVED.limits.pixels,
        limit_seconds=RESOLVED.limits.seconds,
        upcoming=lambda wildcards: upcoming(wildcards.video),
    params:
        settings=lambda wildcards: dict(
            CLIPS[wildcards.video].keyframes,
            block=BLOCK,
            source=fingerprint(clip(wildcards.video)),
            code=code("keyframes", "keyframes"),
        ),
    message:
        "keyframes: read {wildcards.video} and choose its keyframes"
    script:
        "../scripts/keyframes.py"


rule extract:
    input:
        index=ancient("keyframes/{video}/index.json"),
        source=lambda wildcards: source_of(wildcards.video),
    output:
        directory("work/keyframes/{video}/{block}"),
    log:
        "logs/extract/{video}/{block}.log",
    benchmark:
        "benchmarks/extract/{video}/{block}.tsv"
    priority: 10
    group:
        blocks_to_a_job("extract")
    conda:
        "../envs/keyframes.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        settings=lambda wildcards: dict(
            names=keyframes_in(wildcards.video, wildcards.block),
            source=index_of(wildcards.video)["source"]["sha256"],
            code=code("extract", "keyframes"),
        ),
    message:
        "extract: keyframes of {wildcards.video}, block {wildcards.block}"
    script:
        "../scripts/extract.py"


rule keyframe:
    input:
        made=lambda wildcards: f"work/keyframes/{wildcards.video}/{block_of(wildcards.idx)}",
    output:
        "keyframes/{video}/{idx}.png",
    localrule: True
    message:
        "keyframe: {output}"
    shell:
        HAND_OUT
