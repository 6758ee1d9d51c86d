"""Values of checkpoint.mirror that are refused."""

from pathlib import Path

import pytest

from mirrored import MIRROR
from progan.pipeline.config.schema import load_config
from progan.pipeline.errors import ConfigError
from progan.pipeline.train import train


@pytest.mark.parametrize(
    ("value", "problem"),
    [("bucket/runs", "such as s3://BUCKET/RUNS"), ("https://host/runs", "can be written to"),
     ("s3://key:secret@bucket/runs", "holds credentials")],
)  # fmt: skip
def test_mirror_is_a_url_without_credentials(value: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        load_config("demo", ("data.path=x", f"checkpoint.mirror={value}"))
    assert "secret" not in str(caught.value)


def test_detached_jobs_would_not_be_copied(tmp_path: Path) -> None:
    words = "data.path=x", f"checkpoint.mirror={MIRROR}", "engine.precision=fp32"
    with pytest.raises(ConfigError, match="--detach: checkpoint.mirror is copied to by"):
        train(load_config("demo", words), tmp_path / "run", detach=True)
    assert list(tmp_path.iterdir()) == []
