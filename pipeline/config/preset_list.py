"""The presets: their files, and what each is for."""

import difflib
import re
from typing import Any

from progan.pipeline.config.schema import PRESETS, load_config, presets
from progan.pipeline.errors import ConfigError

_SENTENCE_ENDS = re.compile(r"(?<=\.)\s+(?=[A-Z])")
"""Before a number, as in `et al. 2017`, no sentence ends"""


def preset_text(name: str) -> str:
    """A preset's file. ConfigError if there is none of that name."""
    if name not in presets():
        close = difflib.get_close_matches(name, presets(), n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(presets())}"
        raise ConfigError(f"no preset is named {name}; {hint}")
    return (PRESETS / f"{name}.yaml").read_text()


def purpose(text: str) -> str:
    """The first sentence of a file's heading comment, without its last point."""
    heading: list[str] = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        heading.append(line.lstrip("# "))
    return _SENTENCE_ENDS.split(" ".join(heading))[0].removesuffix(".")


def preset_document() -> dict[str, Any]:
    """All presets: name, what it is for, resolutions, loss."""
    return {"presets": [_summary(name) for name in presets()]}


def _summary(name: str) -> dict[str, Any]:
    config = load_config(name, auto_precision=lambda launch: "auto")
    return {
        "name": name,
        "purpose": purpose(preset_text(name)),
        "resolutions": config.resolutions,
        "loss": config.objective.loss.kind,
    }
