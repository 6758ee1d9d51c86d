"""The MLflow export, for `mlflow.pyfunc.load_model(...).predict` and `mlflow models serve`."""

import os
import shutil
import tempfile
from pathlib import Path

from progan.stages.storage.pretrained import DOCUMENT, read_exported

QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}
CODE = Path(__file__).parent / "mlflow_code.py"


def write_mlflow_model(model: Path, out: Path) -> None:
    """Write an MLflow model (pyfunc flavour) into the folder `out`.

    model: the safetensors export, which becomes an artifact, so that the MLflow model needs MLflow
    and torch, but not progan.
    """
    for name, value in QUIET.items():  # MLflow reads them when it is imported
        os.environ.setdefault(name, value)
    import mlflow
    import numpy as np
    import torch
    from mlflow.models import ModelSignature
    from mlflow.types import ParamSchema, ParamSpec, Schema, TensorSpec

    document = read_exported(model / DOCUMENT)
    inputs, channels, size = document.model.inputs, document.model.channels, document.resolution
    number = np.dtype("float32")
    signature = ModelSignature(
        inputs=Schema([TensorSpec(number, (-1, inputs))]),
        outputs=Schema([TensorSpec(number, (-1, channels, size, size))]),
        params=ParamSchema([ParamSpec("output", "string", default="array")]),
    )
    with tempfile.TemporaryDirectory() as temporary:
        # An artifact is named after its folder.
        artifact = shutil.copytree(model, Path(temporary) / "generator")
        mlflow.pyfunc.save_model(
            out,
            python_model=CODE,
            artifacts={"generator": str(artifact)},
            signature=signature,
            input_example=np.random.default_rng(0).standard_normal((1, inputs), number),
            pip_requirements=[
                f"mlflow=={mlflow.__version__}",
                f"numpy=={np.__version__}",
                f"torch=={torch.__version__.split('+')[0]}",
            ],
        )
    for cache in out.rglob("__pycache__"):
        shutil.rmtree(cache)
