"""Classes as people name them; no torch."""

import difflib
from collections.abc import Sequence

from progan.pipeline.errors import ConfigError

SHOWN = 12


def class_number(wanted: str, names: Sequence[str]) -> int:
    """The label of a class given by its name or its label. ConfigError if there is none such."""
    if not names:
        raise ConfigError(f"--class {wanted}: this generator was not trained with classes")
    if wanted in names:
        return names.index(wanted)
    if wanted.isdecimal() and int(wanted) < len(names):
        return int(wanted)
    shown = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    close = difflib.get_close_matches(wanted, names, n=1)
    meant = f"did you mean {close[0]}?" if close else f"there are {len(names)}: {shown}"
    raise ConfigError(f"--class {wanted}: no such class; {meant}")
