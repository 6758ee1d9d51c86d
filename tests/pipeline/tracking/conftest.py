"""An MLflow database for each test."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database, which MLflow takes seconds to create."""
    from progan.pipeline.tracking.store import Store

    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    Store(f"sqlite:///{file}", artifacts=None).client.search_experiments()
    return file


@pytest.fixture
def uri(tmp_path: Path, empty: Path) -> str:
    """An empty database in the run's parent folder."""
    shutil.copy(empty, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path}/mlflow.db"
