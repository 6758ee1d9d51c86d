"""The norm of a gradient that ZeRO shards over ranks is the norm of the whole."""

from pathlib import Path

import pytest

from workers import results


@pytest.mark.slow
def test_gradient_norm_does_not_depend_on_sharding(shapes: Path, tmp_path: Path) -> None:
    lines = results("gradient_norms.py", shapes, output=tmp_path / "log")
    assert len(lines) == 2 * 3 * 2
    for zero, precision, found, expected in lines:
        assert found == pytest.approx(expected, rel=1e-5), (zero, precision)
