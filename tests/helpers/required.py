"""What a test needs of the machine: skipped without it, or failed where it is required.

`PROGAN_REQUIRE` names what must not be absent, separated by spaces; .ci/run sets it.
"""

import os

import pytest


def require(name: str, problem: str | None) -> None:
    """Skip the test if there is a problem; fail it if the environment requires `name`."""
    if problem is None:
        return
    if name in os.environ.get("PROGAN_REQUIRE", "").split():
        pytest.fail(f"{name} is required by PROGAN_REQUIRE: {problem}", pytrace=False)
    pytest.skip(problem)
