"""The edited video: its picture in stretches, encoded side by side, and then the whole.

REQUIRED INPUTS: keyframes/<video>/index.json, plan/<find>.json, masks/<find>/<idx>.png, masks_frames/<find>/<block>,
    edited/<job>/<idx>.png, flow/<find>/<block>, the source video
OUTPUTS:
    work/out/<job>/<stretch>.nut    the picture of STRETCH frames, encoded
    work/out/<job>/<stretch>.json   the sum of its bytes, which a NUT does not hold
    out/<job>.<container>           the source's frames, times, sound and subtitles, with B where A was
"""


rule stretch:
    input:
        index=lambda wildcards: ancient(f"keyframes/{JOBS[wildcards.job].video}/index.json"),
        plan=lambda wildcards: planned(JOBS[wildcards.job]),
        source=lambda wildcards: source_of(JOBS[wildcards.job].video),
        masks=lambda wildcards: [f"masks/{JOBS[wildcards.job].find}/{idx}.png" for idx in seen_in(wildcards)],
        sources=sources_in,
        edited=lambda wildcards: [f"edited/{wildcards.job}/{idx}.png" for idx in seen_in(wildcards)],
        between=lambda wildcards: blocks_of("masks_frames", wildcards),
        flow=lambda wildcards: blocks_of("flow", wildcards),
    output:
        picture="work/out/{job}/{stretch}.nut",
        sum="work/out/{job}/{stretch}.json",
    log:
        "logs/stretch/{job}/{stretch}.log",
    benchmark:
        "benchmarks/stretch/{job}/{stretch}.tsv"
    group:
        blocks_to_a_job("stretch")
    conda:
        "../envs/out.yaml"
    threads: 2
    resources:
        mem_mb=3000,
        runtime=120,
    params:
        settings=stretch_settings,
    message:
        "stretch: encode {wildcards.job}, stretch {wildcards.stretch}"
    script:
        "../scripts/stretch.py"


rule out:
    input:
        index=lambda wildcards: ancient(f"keyframes/{JOBS[wildcards.job].video}/index.json"),
        # Waited for, since what is in the stretches follows from it.
        plan=lambda wildcards: ancient(f"plan/{JOBS[wildcards.job].find}.json"),
        source=lambda wildcards: source_of(JOBS[wildcards.job].video),
        # Not read here: made again where a job failed, even if this file alone is asked for.
        made_of=lambda wildcards: ancient(made_of(wildcards.job)),
        stretches=lambda wildcards: stretches(wildcards.job),
        sums=lambda wildcards: stretches(wildcards.job, "json"),
    output:
        ensure("out/{job}.{container}", non_empty=True),
    log:
        "logs/out/{job}.{container}.log",
    benchmark:
        "benchmarks/out/{job}.{container}.tsv"
    conda:
        "../envs/out.yaml"
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        settings=lambda wildcards: dict(
            source=index_of(JOBS[wildcards.job].video)["source"]["sha256"],
            code=code("out", "out"),
        ),
    message:
        "out: write {output}"
    script:
        "../scripts/out.py"
