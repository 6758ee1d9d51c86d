"""Imports DeepSpeed with standard output redirected to standard error; import this module first.

DeepSpeed's logger keeps the stream that is standard output when it is loaded. Redirected, `--json`
prints one document and nothing else.
"""

import contextlib
import sys

with contextlib.redirect_stdout(sys.stderr):
    import deepspeed  # noqa: F401
