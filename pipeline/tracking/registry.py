"""The finished generator in MLflow's model registry."""

import atexit
import subprocess
import sys
import tempfile
from pathlib import Path

from progan.pipeline.errors import RunError
from progan.pipeline.run_folder import RunFolder
from progan.pipeline.tracking.store import Store

FOLDER = "model"
EXPORT_SECONDS = 600


def register(store: Store, name: str, run: RunFolder, run_id: str) -> str:
    """Export the last stage as an MLflow model, and make it a version of a registered model.

    The model lies among the files of the stage's MLflow run, from which it can be registered once
    only. Returns the version.
    """
    if version := _version(store, name, run_id):
        return version
    with tempfile.TemporaryDirectory() as scratch:
        model = Path(scratch) / FOLDER
        _export(run, model)
        store.client.log_artifacts(run_id, str(model), FOLDER)
    if not store.client.search_registered_models(f'name = "{name}"'):
        store.client.create_registered_model(name)
    source = f"{store.client.get_run(run_id).info.artifact_uri}/{FOLDER}"
    made = store.client.create_model_version(name, source, run_id, await_creation_for=0)
    return str(made.version)


def _version(store: Store, name: str, run_id: str) -> str | None:
    """The version that was made from a run."""
    versions = store.client.search_model_versions(f'name = "{name}" and run_id = "{run_id}"')
    return next((str(version.version) for version in versions), None)


def _export(run: RunFolder, out: Path) -> None:
    """In a process of its own, since this one loads no torch; it ends when this one does."""
    progan = Path(sys.executable).with_name("progan")
    argv = [str(progan), "export", str(run.path), str(out), "--format", "mlflow"]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as process:
        atexit.register(process.kill)
        try:
            _, said = process.communicate(timeout=EXPORT_SECONDS)
        finally:
            process.kill()
            atexit.unregister(process.kill)
    if process.returncode:
        raise RunError(f"the model was not exported: {said.strip()[-300:]}")
