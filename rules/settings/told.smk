"""What a run says: its progress, warnings, and what came of it."""

@cache
def warn_of_strays(stage, name, keyframes):
    """Say which painted pictures stand for no keyframe; they change nothing."""
    strays = {path.stem for path in Path(f"{PREFIX}{stage}_override/{name}").glob("*")} - set(keyframes)
    if strays:
        stray, known = min(strays), ", ".join(keyframes[:6])
        logger.warning(f"{stage}_override/{name}/{stray}: no keyframe of that name; there are {known}, …")


@cache
def warn_of_toys(path, models):
    """Say which models of a clip that is not the demo's are the demo's own. models: pairs of a key and its place."""
    own = ROOT / "demo"
    toys = sorted({key.partition(".")[0] for key, place in models if Path(place).is_relative_to(own)})
    if toys and not Path(path).resolve().is_relative_to(own):
        logger.warning(
            f"warning: models: the bundled {', '.join(toys)} know nothing but the demo's toy world; for {path} "
            "name real ones (config/examples)"
        )


def warn_of_damage():
    """Say which of the run's clips are damaged, and from when on."""
    for video in sorted({job.wildcards.video for job in workflow.dag.jobs if job.rule.name == "keyframes"}):
        index = Path(f"keyframes/{video}/index.json")
        if index.exists() and (found := read_json(index).get("damage")):
            logger.warning(
                f"warning: {damage.describe(CLIPS[video].path, found)}; what can be decoded is edited"
            )


def warn_of_masks():
    """Say where A was not found, or perhaps not rightly, in the masks of this run."""
    for find in sorted({job.wildcards.find for job in workflow.dag.jobs if job.rule.name == "choose"}):
        if Path(f"masks/{find}/masks.json").exists():
            for line in doubts.doubts(read_json(f"masks/{find}/masks.json"), find):
                logger.warning(f"warning: {line}")


def warn_of_alarms():
    """Say where the reports of this run are, and what is red in them."""
    for video in sorted({job.wildcards.video for job in workflow.dag.jobs if job.rule.name == "report"}):
        if Path(f"report/{video}/metrics.json").exists():
            for name, edit in read_json(f"report/{video}/metrics.json")["edits"].items():
                for alarm in edit["alarms"]:
                    logger.warning(f"warning: {name}: {alarm['text']}")
            logger.info(f"report: report/{video}/index.html")


def tell_of_previews():
    """Say where the previews of this run are."""
    for video in sorted({job.wildcards.video for job in workflow.dag.jobs if job.rule.name == "previewed"}):
        if Path(f"report/{video}/preview.html").exists():
            logger.info(f"preview: report/{video}/preview.html")


def conclude():
    """Say what came of the run."""
    for region in SHOWN:
        region.stop()
    warn_of_damage()
    warn_of_masks()
    warn_of_alarms()
    tell_of_previews()
    summarize()
    end_timers()


def end_timers():
    """Snakemake counts the jobs that start in a second, with timers that would keep a finished run up for one more."""
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.cancel()


def forget_replaced():
    """Have Snakemake forget the files of jobs that it replaces: it does so whenever a checkpoint has run, but keeps each
    `all` that was, with all files of all videos (its issue 3003)."""
    replace = workflow.dag.replace_job

    async def replace_and_empty(job, *args, **kwargs):
        await replace(job, *args, **kwargs)
        job.input, job.dependencies = type(job.input)(), {}

    workflow.dag.replace_job = replace_and_empty


def measure_once():
    """Have Snakemake look up the size of a file once, not of all files of all jobs that wait, after each job."""
    most = 10_000  # sizes, after which it forgets all but those that it is asked for
    scheduler = workflow.scheduler
    update, known = scheduler.update_input_sizes, scheduler._input_sizes

    async def update_new(jobs):
        new = [job for job in jobs if not all(path in known for path in job.input)]
        full = len(known) + sum(len(job.input) for job in new) > most
        await update(jobs if full else new)

    scheduler.update_input_sizes = update_new


def summarize():
    """Say what the run made and what failed."""
    made = [job.output[0] for job in workflow.dag.finished_jobs if job.rule.name == "out"]
    for line in outcome.lines(
        map(failure, sorted(one_by_one(workflow.scheduler.failed), key=str)), sorted(made)
    ):
        logger.error(line) if line.startswith("failed") else logger.warning(line)


def one_by_one(jobs):
    """Jobs, where some are groups of them."""
    for job in list(jobs):
        yield from job if job.is_group() else [job]


SHOWN = []  # in the terminal: what runs


def show_progress():
    """Show what runs in the last lines of the terminal; not where the log goes elsewhere, or nobody wants to see it."""
    quiet = {each.name for each in workflow.output_settings.quiet or ()}
    handlers = [each for each in logger.handlers if getattr(each, "can_color_tty", bool)()]
    # `fetch` has a progress of its own there.
    if (
        not handlers
        or quiet & {"ALL", "PROGRESS"}
        or any(job.rule.name == "fetch" for job in workflow.dag.jobs)
    ):
        return
    handler, since = handlers[0], time.time()
    region = live.Region(
        handler.stream,
        lambda width, height: live.lines(
            (workflow.scheduler.finished_jobs, len(workflow.dag)), running_jobs(), since, width, height
        ),
    )
    emit = handler.emit
    handler.emit = lambda record: region.above(lambda: emit(record))
    atexit.register(region.stop)  # of a run that breaks off
    region.start()
    SHOWN.append(region)


def running_jobs():
    """Those of the jobs at work that have something to tell."""
    for job in one_by_one(workflow.scheduler.running):
        if job.log:
            yield live.Running(job.rule.name, ", ".join(map(str, job.wildcards)), Path(job.log[0]))


def failure(job):
    names = dict(job.wildcards.items())
    waiting = [
        result_of(name)
        for name, asked in JOBS.items()
        if name in ASKED and {"video": asked.video, "find": asked.find, "job": name}.items() >= keeps(names)
    ]
    return outcome.Failure(
        job.rule.name, ", ".join(map(str, names.values())), next(iter(job.log), None), tuple(waiting)
    )


def keeps(names):
    """Of a job's wildcards those that say whose it is."""
    return {(key, name) for key, name in names.items() if key in ("video", "find", "job")}
