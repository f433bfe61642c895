"""Which networks a job needs, and what of the machine."""

# What jobs with a network need, in MB: main memory, and that of a card, an estimate for the largest models that
# config/examples name, in half precision (docs/models.md).
NEEDS = {
    "diffusion": (12000, 12000),
    "finder": (12000, 6000),
    "segmenter": (12000, 6000),
    "raft": (12000, 4000),
    "eyes": (6000, 3000),
}


def on_gpu(network, runtime=60, where=None, without=4000):
    """The resources of jobs with a network. where: of wildcards, whether their job uses it (all do); without: main memory
    of those that do not.

    The card counts only where one may be used.
    """
    memory, vram = NEEDS[network]

    def only(value, otherwise):
        return value if where is None else lambda wildcards: value if where(wildcards) else otherwise

    wanted = RESOLVED.runtime.device != "cpu"
    return dict(
        gpu=only(int(wanted), 0),
        vram_mb=only(vram * wanted, 0),
        mem_mb=only(memory, without),
        runtime=runtime,
        device=RESOLVED.runtime.device,
        gpu_share=RESOLVED.runtime.gpu_share,
    )


# The models that find A by words
WORDS = ("detector.weights", "detector.config", "detector.text", "segmenter")
VIEWER = ("subject.weights", "subject.encoder")
# Those that a report has results looked at by
EYES = [key for key in ("lpips", "clip") if RESOLVED.report.enabled and named(key)]


def by_words(find):
    return FINDS[find].masks["method"] == "grounded_sam"


def by_attention(find):
    return FINDS[find].masks["method"] == "attention"


def looked_for(find):
    return by_words(find) or by_attention(find)


def model_keys(job):
    """The keys of `models` whose weights a job needs."""
    find = JOBS[job].find
    return [
        "diffusion",
        *(key for kind in EXTRAS for key in extra_keys(job, kind)),
        *(VIEWER if JOBS[job].shown else ()),
        *(WORDS if by_words(find) or cut_out(job) else ()),
        *(["flow"] if by_raft(find) else ()),
        *(["segmenter"] if segmented(find) else ()),
        *EYES,
    ]


def model_settings():
    """What every use of the diffusion model depends on; of the weights only the fingerprint, not where they lie."""
    return dict(
        weights=fingerprint(model("diffusion")),
        variant=RESOLVED.models.variant,
        dtype=RESOLVED.runtime.dtype,
        tiling=RESOLVED.runtime.tiling,
    )


def requirements(env):
    """The packages that a stage names itself, without the closure."""
    lines = (ROOT / "envs" / "requirements" / f"{env}.in").read_text().splitlines()
    return [re.match(r"[\w-]+", line)[0] for line in lines if line and not line.startswith("#")]


@cache
def pins(env):
    """The versions of the packages that a stage names itself."""
    lines = (ROOT / "envs" / f"{env}.yaml").read_text().splitlines()
    known = dict(line.strip(" -").split("==") for line in lines if "==" in line)
    return {name: known[name] for name in map(str.lower, requirements(env)) if name in known}


def upcoming(video):
    """What jobs will start from after a clip's keyframes, as warm.py reads it."""
    starts = {"clevam.edit": "edit"}
    if any(map(by_words, finds_of(video))):
        starts["clevam.finder"] = "masks"
    return os.pathsep.join(f"{module}@{prefix(env)}" for module, env in starts.items() if prefix(env))


@cache
def prefix(env):
    """Of a stage's environment; empty where Snakemake is not told to build them."""
    if not any(method.name == "CONDA" for method in workflow.deployment_settings.deployment_method):
        return ""
    return Env(workflow, env_file=str(ROOT / "envs" / f"{env}.yaml")).address
