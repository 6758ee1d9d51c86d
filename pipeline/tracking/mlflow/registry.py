"""The finished generator in MLflow: a logged model of its run, and a registered version of it."""

import atexit
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from progan.pipeline.errors import RunError
from progan.pipeline.run_folder import RunFolder
from progan.pipeline.tracking.mlflow import names
from progan.pipeline.tracking.mlflow.results import dataset_name, final_points, final_values
from progan.pipeline.tracking.mlflow.store import Store
from progan.pipeline.tracking.queue.history import StageHistory
from progan.stages.metrics.names import METRICS, values_of

EXPORT_SECONDS = 600
ALIAS = "newest"
"""Of the last version that was registered; `latest` is MLflow's own word"""
MODEL_TYPE = "progan generator"


@dataclass(frozen=True, slots=True)
class LoggedGenerator:
    """What is registered: the last stage of a run, and where MLflow has it."""

    run: RunFolder
    history: StageHistory
    experiment_id: str
    run_id: str
    """Of the stage's MLflow run"""

    @property
    def description(self) -> str:
        """For people, in Markdown."""
        spec = self.history.spec
        values = self._measured()
        lines = [
            f"Generator of the run {self.run.name} at {spec.resolution}x{spec.resolution} pixels, "
            f"trained by progan on {dataset_name(spec)} (seed {spec.seed}).",
        ]
        if values:
            lines += ["", "| metric | value |", "|---|--:|"]
            lines += [f"| {name} | {value:.4g} |" for name, value in values.items()]
        return "\n".join(lines)

    @property
    def tags(self) -> dict[str, str]:
        """For searches."""
        spec = self.history.spec
        told = {
            "resolution": str(spec.resolution),
            "dataset": dataset_name(spec),
            "fingerprint": spec.data_fingerprint,
            "progan": version("progan"),
        }
        return names.tags(told | {k: f"{v:.6g}" for k, v in self._measured().items()})

    def _measured(self) -> dict[str, float]:
        """What the finished stage was evaluated with; of SWD, the mean over its levels."""
        values = final_values(self.history)
        found = {k: v for metric in METRICS for k, v in values_of(metric, values).items()}
        return {k: v for k, v in found.items() if k == "swd_mean" or not k.startswith("swd_")}


def register(store: Store, name: str, generator: LoggedGenerator, parent_id: str) -> str:
    """Export the last stage, log it as a model of its run, and register it as a version of `name`.

    parent_id: the MLflow run that shows the stage's final metrics. Each run is registered once;
    what an interrupted call has begun is continued. Returns the version.
    """
    name = names.model_name(name)
    found = _existing_version(store, name, generator.run_id)
    if found is None:
        model_id = _logged_model(store, generator)
        store.log_points(parent_id, final_points(generator.history, model_id))
        store.link_model(parent_id, model_id, generator.history.spec.resolution)
        found = _create_version(store, name, generator, model_id)
    versions = store.client.search_model_versions(f'name = "{name}"')
    if int(found) == max(int(each.version) for each in versions):
        store.client.set_registered_model_alias(name, ALIAS, found)
    return found


def _existing_version(store: Store, name: str, run_id: str) -> str | None:
    """The version that was registered from a run."""
    versions = store.client.search_model_versions(f'name = "{name}" and run_id = "{run_id}"')
    return next((str(version.version) for version in versions), None)


def _logged_model(store: Store, generator: LoggedGenerator) -> str:
    """The id of the run's logged model, which is ready; created, and uploaded, if it is not."""
    run_id = generator.run_id
    spec = generator.history.spec
    model = store.model_of(generator.experiment_id, run_id) or store.client.create_logged_model(
        generator.experiment_id,
        names.logged_model_name(generator.history.name),
        run_id,
        generator.tags,
        {"resolution": str(spec.resolution), "latent": str(spec.model.latent)},
        MODEL_TYPE,
    )
    model_id = str(model.model_id)
    if model.status != "READY":
        with _exported(generator.run, model_id, run_id) as folder:
            store.client.log_model_artifacts(model_id, str(folder))
        store.client.finalize_logged_model(model_id, "READY")
    store.link_model(run_id, model_id, generator.history.ticks()[-1]["images_seen"])
    return model_id


def _create_version(store: Store, name: str, generator: LoggedGenerator, model_id: str) -> str:
    if not store.client.search_registered_models(f'name = "{name}"'):
        store.create_registered_model(name, "Generators trained by progan.")
    # Not models:/ID: MLflow's client would look for it in its default store.
    source = str(store.client.get_logged_model(model_id).artifact_location)
    created = store.client.create_model_version(
        name,
        source,
        generator.run_id,
        tags=generator.tags,
        description=generator.description,
        await_creation_for=0,
        model_id=model_id,
    )
    return str(created.version)


@contextmanager
def _exported(run: RunFolder, model_id: str, run_id: str) -> Iterator[Path]:
    """The export as an MLflow model, in a temporary folder; it names its logged model and run."""
    from mlflow.models import Model

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "model"
        _export(run, folder)
        document = Model.load(str(folder))
        document.model_id, document.run_id = model_id, run_id
        document.save(str(folder / "MLmodel"))
        yield folder


def _export(run: RunFolder, out: Path) -> None:
    """Export in another process, since this one does not load torch; it is killed with this one."""
    progan = Path(sys.executable).with_name("progan")
    argv = [str(progan), "export", str(run.path), str(out), "--format", "mlflow"]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as process:
        atexit.register(process.kill)
        try:
            _, errors = process.communicate(timeout=EXPORT_SECONDS)
        finally:
            process.kill()
            atexit.unregister(process.kill)
    if process.returncode:
        raise RunError(f"the model was not exported: {errors.strip()[-300:]}")
