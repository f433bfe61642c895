"""The edited video.

REQUIRED INPUTS: keyframes/<video>/index.json, plan/<find>.json, masks/<find>/<idx>.png, masks_frames/<find>/<block>,
    edited/<job>/<idx>.png, flow/<find>/<block>, the source video
OUTPUTS:
    out/<job>.mp4    the source's frames, times, sound and subtitles, with B where A was
"""


rule out:
    input:
        index=lambda wildcards: ancient(f"keyframes/{JOBS[wildcards.job].video}/index.json"),
        plan=lambda wildcards: f"plan/{JOBS[wildcards.job].find}.json",
        source=lambda wildcards: source_of(JOBS[wildcards.job].video),
        # Not read here: made again where a job failed, even if this file alone is asked for.
        made_of=lambda wildcards: ancient(made_of(wildcards.job)),
        masks=lambda wildcards: pictures("masks", JOBS[wildcards.job].find, JOBS[wildcards.job].video),
        between=lambda wildcards: frames_between(JOBS[wildcards.job].find),
        edited=lambda wildcards: pictures("edited", wildcards.job, JOBS[wildcards.job].video),
        flow=lambda wildcards: expand(
            "flow/{find}/{block}",
            find=JOBS[wildcards.job].find,
            block=index_of(JOBS[wildcards.job].video)["blocks"],
        ),
    output:
        ensure("out/{job}.mp4", non_empty=True),
    log:
        "logs/out/{job}.log",
    benchmark:
        "benchmarks/out/{job}.tsv"
    conda:
        "../envs/out.yaml"
    threads: 2
    resources:
        mem_mb=3000,
        runtime=120,
    params:
        settings=lambda wildcards: dict(
            names=index_of(JOBS[wildcards.job].video)["keyframes"],
            source=index_of(JOBS[wildcards.job].video)["source"]["sha256"],
            feather=JOBS[wildcards.job].feather,
            encode=JOBS[wildcards.job].encode,
            block=BLOCK,
            code=code("out", "out"),
        ),
    message:
        "out: write {output}"
    script:
        "../scripts/out.py"
