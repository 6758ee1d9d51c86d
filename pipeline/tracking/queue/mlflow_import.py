"""MLflow's import: its modules import each other in circles, so one thread at a time."""

import logging
import os
import threading
from typing import Any

ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # errors are raised too, and shown in one line
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
_importing = threading.Lock()


def import_mlflow() -> Any:
    """The module `mlflow`, set up to print nothing and to leave repetitions to its caller.

    Every thread calls this before it imports a part of MLflow.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    logging.getLogger("alembic").setLevel(logging.WARNING)
    with _importing:
        import mlflow.system_metrics.metrics.gpu_monitor
        import mlflow.tracking
    return mlflow
