"""A whole run handed to a scheduler: a job a stage, each waiting for the one before; no torch."""

from progan.launch.backends.backend import Backend
from progan.launch.backends.slurm import Slurm
from progan.pipeline.errors import ConfigError
from progan.pipeline.run.events import EventLog
from progan.pipeline.run.orchestrator import job_of, prepared_task
from progan.pipeline.run_folder import RunFolder
from progan.stages.specs.stage import StageSpec
from progan.stages.storage.final import is_done


def queue_of(backend: Backend) -> Slurm:
    """The backend if it keeps jobs that wait for each other; ConfigError if not."""
    if isinstance(backend, Slurm):
        return backend
    raise ConfigError(
        "--detach: only Slurm starts one stage after another by itself; use launch.backend=slurm, "
        "or leave progan running, under nohup or tmux"
    )


def submit_stages(run: RunFolder, specs: list[StageSpec], queue: Slurm) -> dict[int, str]:
    """Submit every stage that is not done; the jobs by resolution. The run's lock must be held.

    Jobs of an earlier chain stay, unless what they wait for has to be submitted again.
    """
    event_log = EventLog(run.events)
    run.stop.unlink(missing_ok=True)  # it was meant for the last time
    jobs: dict[int, str] = {}
    before: str | None = None
    again = False
    for spec in specs:
        if is_done(run.stage(spec.resolution).final):
            continue
        job = job_of(event_log, spec, queue)
        if job is None and is_done(run.stage(spec.resolution).final):
            continue  # it ended while the scheduler was asked
        if job and again:
            queue.cancel(job)
        if job is None or again:
            again = True
            job = queue.submit_after(before, prepared_task(run, spec))
            event_log.append("stage_started", resolution=spec.resolution, handle=job)
        jobs[spec.resolution] = before = job
    return jobs
