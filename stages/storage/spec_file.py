"""spec.json, a worker's input; no torch."""

from pathlib import Path

from pydantic import ValidationError

from progan.stages.errors import StageError
from progan.stages.specs.base import first_problem
from progan.stages.specs.stage import StageSpec


def read_spec(path: Path) -> StageSpec:
    """What a stage's workers train; StageError if the file is missing, damaged or of other keys."""
    try:
        return StageSpec.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise StageError(f"{path} is missing") from error
    except ValidationError as error:
        raise StageError(
            f"{path} is damaged, or another version of progan wrote it: {first_problem(error)}; if "
            "the run's config.yaml is as it was, remove the file: progan resume writes it again"
        ) from error
