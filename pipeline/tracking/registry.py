"""Registers the finished generator in MLflow's model registry."""

import atexit
import subprocess
import sys
import tempfile
from pathlib import Path

from progan.pipeline.errors import RunError
from progan.pipeline.run_folder import RunFolder
from progan.pipeline.tracking.names import model_name
from progan.pipeline.tracking.store import Store

FOLDER = "model"
EXPORT_SECONDS = 600


def register(store: Store, name: str, run: RunFolder, run_id: str) -> str:
    """Export the last stage as an MLflow model, and register it as a version of the model `name`.

    The model is an artifact of the stage's MLflow run, and registered once for each run. Returns
    the version.
    """
    name = model_name(name)
    if version := _existing_version(store, name, run_id):
        return version
    with tempfile.TemporaryDirectory() as temporary:
        model = Path(temporary) / FOLDER
        _export(run, model)
        store.client.log_artifacts(run_id, str(model), FOLDER)
    if not store.client.search_registered_models(f'name = "{name}"'):
        store.client.create_registered_model(name)
    source = f"{store.client.get_run(run_id).info.artifact_uri}/{FOLDER}"
    created = store.client.create_model_version(name, source, run_id, await_creation_for=0)
    return str(created.version)


def _existing_version(store: Store, name: str, run_id: str) -> str | None:
    """The version that was registered from a run."""
    versions = store.client.search_model_versions(f'name = "{name}" and run_id = "{run_id}"')
    return next((str(version.version) for version in versions), None)


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
