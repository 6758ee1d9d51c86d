"""Imported first: DeepSpeed's log, which it ties to standard output when it is loaded, goes to
standard error, so that `--json` prints one document and nothing else."""

import contextlib
import sys

with contextlib.redirect_stdout(sys.stderr):
    import deepspeed  # noqa: F401
