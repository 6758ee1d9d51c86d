"""Submits a whole run to a scheduler: one job per stage, each after the previous one; no torch."""

from progan.launch.backends.backend import Backend
from progan.launch.backends.slurm import Slurm
from progan.pipeline.errors import ConfigError
from progan.pipeline.run.events import EventLog
from progan.pipeline.run.orchestrator import job_of, prepared_task
from progan.pipeline.run_folder import RunFolder
from progan.stages.specs.stage import StageSpec
from progan.stages.storage.final import is_done


def queue_of(backend: Backend) -> Slurm:
    """The backend if its jobs can depend on each other; ConfigError if not."""
    if isinstance(backend, Slurm):
        return backend
    raise ConfigError(
        "--detach: only Slurm starts one stage after another by itself; use launch.backend=slurm, "
        "or leave progan running, under nohup or tmux"
    )


def submit_stages(run: RunFolder, specs: list[StageSpec], queue: Slurm) -> dict[int, str]:
    """Submit every stage that is not done; returns the jobs by resolution.

    Jobs of an earlier submission are kept unless the job they depend on is gone. The caller holds
    the run's lock.
    """
    event_log = EventLog(run.events)
    run.stop.unlink(missing_ok=True)  # of an earlier start
    jobs: dict[int, str] = {}
    previous: str | None = None
    resubmit = False
    for spec in specs:
        if is_done(run.stage(spec.resolution).final):
            continue
        job = job_of(event_log, spec, queue)
        if job is None and is_done(run.stage(spec.resolution).final):
            continue  # the job ended between the two checks
        if job and resubmit:
            queue.cancel(job)
        if job is None or resubmit:
            resubmit = True
            job = queue.submit_after(previous, prepared_task(run, spec))
            event_log.append("stage_started", resolution=spec.resolution, handle=job)
        jobs[spec.resolution] = previous = job
    return jobs
