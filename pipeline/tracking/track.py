"""`progan track`: send a finished or running run to a tracker; no torch."""

import hashlib
import shlex
from pathlib import Path

from progan.pipeline.config.schema import RunConfig, validate
from progan.pipeline.config.secrets import without_secrets
from progan.pipeline.config.yaml_io import plain
from progan.pipeline.errors import ConfigError, RunError
from progan.pipeline.plan.plan import stage_specs
from progan.pipeline.run.events import EventLog
from progan.pipeline.run_folder import RunFolder, existing_run, frozen_config
from progan.pipeline.tracking.destinations import destinations, require_trackers
from progan.pipeline.tracking.mlflow.page import run_page
from progan.pipeline.tracking.queue.destination import TrackingError
from progan.pipeline.tracking.queue.history import run_status
from progan.pipeline.tracking.queue.lock import sending_lock
from progan.pipeline.tracking.tracker import MAX_CHARACTERS
from progan.pipeline.tracking.wandb.sender import upload_hint


def track(path: Path, to: str) -> list[str]:
    """Send a run's folder to a tracker, which then has all of it, each once.

    to: `tensorboard`, `wandb`, `wandb:PROJECT`, `mlflow` or `mlflow:URI`. Returns lines that say
    where to look. Raises ConfigError for another word, a missing package or login, and RunError
    if not all could be sent.
    """
    run = existing_run(path)
    own = frozen_config(run)
    config = tracked_only(own, to)
    require_trackers(config)
    specs = stage_specs(config, run, _data_fingerprint(run))
    state = _state_file(run, own.tracking.mlflow, config.tracking.mlflow)
    (destination,) = destinations(run, config, specs, state)
    status = run_status(run, specs)
    try:
        with sending_lock(run, destination):
            if status == "RUNNING":
                destination.send()
            else:
                destination.end(status)
            destination.forget()
    except TrackingError as error:
        raise RunError(str(error)) from error
    except Exception as error:
        destination.abandon()
        reason = " ".join(without_secrets(str(error)).split())
        raise RunError(
            f"not all of {path} could be sent to {destination.title}: {reason[:MAX_CHARACTERS]}; "
            "the same command sends the rest"
        ) from error
    return _where(run, config, state)


def tracked_only(config: RunConfig, to: str) -> RunConfig:
    """The configuration as if the run were tracked only there; ConfigError if that cannot be."""
    kind, colon, place = to.partition(":")
    known = config.tracking
    chosen: dict[str, object] = {"mlflow": "off", "tensorboard": False, "wandb": "off"}
    if kind == "tensorboard" and not colon:
        chosen["tensorboard"] = True
    elif kind == "mlflow" and place != "off":
        chosen["mlflow"] = place or (known.mlflow if known.mlflow != "off" else "sqlite")
    elif kind == "wandb" and place != "off":
        chosen["wandb"] = place or (known.wandb if known.wandb != "off" else "progan")
    else:
        raise ConfigError(f"--to {to}: must be tensorboard, wandb[:PROJECT] or mlflow[:URI]")
    values = plain(config.model_dump())
    values["tracking"] |= chosen
    return validate(values, source=f"--to {kind}")


def _state_file(run: RunFolder, own: str, place: str) -> Path:
    """Where the ids of MLflow runs are kept: a store that the run does not use has its own file."""
    if place == own or (own, place) == ("off", "sqlite"):
        return run.tracking
    digest = hashlib.sha256(place.encode()).hexdigest()[:8]
    return run.tracking.with_stem(f"{run.tracking.stem}-{digest}")


def _data_fingerprint(run: RunFolder) -> str:
    """That of the data set which the run began with."""
    created = (e for e in EventLog(run.events).events() if e.kind == "run_created")
    return next((str(event.fields["data_fingerprint"]) for event in created), "")


def _where(run: RunFolder, config: RunConfig, state_file: Path) -> list[str]:
    """How to look at what was sent."""
    if config.tracking.tensorboard:
        return [f"tensorboard --logdir {shlex.quote(str(run.path / 'tensorboard'))}"]
    if config.tracking.wandb != "off":
        return upload_hint(run)
    page = run_page(run, config, state_file)
    if page is None:
        return []
    return [*([page.command] if page.command else []), page.url]
