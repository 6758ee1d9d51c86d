"""An MLflow database for each test."""

import shutil
from pathlib import Path

import pytest

from progan.pipeline.run_folder import RunFolder
from progan.pipeline.tracking.mlflow import registry


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database, which MLflow takes seconds to create."""
    from progan.pipeline.tracking.mlflow.store import Store

    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    Store(f"sqlite:///{file}", artifacts=None).client.search_experiments()
    return file


@pytest.fixture
def uri(tmp_path: Path, empty: Path) -> str:
    """An empty database in the run's parent folder."""
    shutil.copy(empty, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path}/mlflow.db"


@pytest.fixture
def no_export(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registered models without content, as an export takes another process and torch."""
    monkeypatch.setattr(registry, "_export", _empty_export)


def _empty_export(run: RunFolder, out: Path) -> None:
    from mlflow.models import Model

    out.mkdir()
    Model().save(str(out / "MLmodel"))
