"""What was found out about stages, in files of the user's cache folder; no torch."""

import json
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from progan.datasets.files import parse_json, write_whole
from progan.datasets.format.location import default_cache_folder
from progan.stages import schedule
from progan.stages.specs.stage import StageSpec

FIELDS = {
    "resolution", "batch", "micro_batch", "model", "objective", "augment", "engine", "optimizer",
    "compile",
}  # fmt: skip
"""What a stage's step depends on"""


@dataclass(frozen=True)
class Remembered:
    """A folder of the cache; each file is named by all that its content depends on."""

    name: str

    def read(self, spec: StageSpec, *rest: object) -> dict[str, Any] | None:
        """What is known of a stage's step; None if nothing is. rest: what else it depends on."""
        try:
            found = parse_json(self._file(spec, rest).read_bytes())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def write(self, found: dict[str, Any], spec: StageSpec, *rest: object) -> None:
        """Remember what was found out. Disk errors are ignored."""
        file = self._file(spec, rest)
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(file, json.dumps(found).encode())

    def _file(self, spec: StageSpec, rest: tuple[object, ...]) -> Path:
        shape = spec.model_dump_json(include=FIELDS)
        fading = spec.grown_from is not None, schedule.alpha(0, spec.growth) < 1
        key = repr((shape, fading, spec.growth.mode, *rest, version("torch"), _code_hash()))
        name = sha256(key.encode()).hexdigest()[:32]
        return default_cache_folder() / self.name / f"{name}.json"


@cache
def _code_hash() -> str:
    """SHA-256 of the code that a step consists of."""
    files = sorted(Path(schedule.__file__).parent.rglob("*.py"))
    return sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
