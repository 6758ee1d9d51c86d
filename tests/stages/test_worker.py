"""progan-worker without a usable spec.json: one line, and no reason to start it again."""

import json
import subprocess
from pathlib import Path

import pytest

from workers import BIN


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"resolution": 4', "spec.json is damaged, or another version of progan wrote it"),
        (b'{"resolution": 4, "betch": 3}', "spec.json is damaged, or another version of progan"),
        (b"\xff", "spec.json is damaged"),
        (None, "spec.json is missing"),
    ],
)
def test_wrong_spec_is_permanent(content: bytes | None, said: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "spec.json").write_bytes(content)
    command = [str(BIN / "progan-worker"), "--spec", str(tmp_path / "spec.json")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("progan-worker: ") and said in line
    failure = json.loads((tmp_path / "failure.json").read_text())
    assert (failure["code"], failure["transient"]) == (1, False)
