"""The Python code of an exported MLflow model (models from code: nothing is pickled).

It needs MLflow and torch. The generator's code and weights are an artifact of the model.
"""

import importlib.util
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

BATCH = 16


class GeneratorModel(PythonModel):  # type: ignore[misc, unused-ignore]
    """Latents -> pictures, as arrays or as PNG files."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load generator.py and the weights from the artifact."""
        folder = Path(context.artifacts["generator"])
        spec = importlib.util.spec_from_file_location("generator", folder / "generator.py")
        assert spec is not None and spec.loader is not None
        self.code = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.code)
        self.generator = self.code.load(folder / "generator.safetensors")

    def predict(
        self,
        context: PythonModelContext,
        model_input: np.ndarray,
        params: dict[str, Any] | None = None,
    ) -> Any:
        """float32 latents (N, latent), or with classes (N, latent + classes) -> N pictures.

        params["output"]: "array", float32 (N, C, R, R) with -1 black and 1 white, or "png", a list
        of N PNG files (in JSON, as base64).
        """
        import torch

        output = (params or {}).get("output", "array")
        if output not in ("array", "png"):
            raise mlflow.MlflowException.invalid_parameter_value(
                f"output is {output!r}; choose array or png"
            )
        latents = torch.from_numpy(np.array(model_input, dtype=np.float32))
        with torch.inference_mode():
            images = torch.cat([self.generator(batch) for batch in torch.split(latents, BATCH)])
        if output == "array":
            return images.numpy()
        return [self.code.png(picture) for picture in self.code.pictures(images)]


set_model(GeneratorModel())
