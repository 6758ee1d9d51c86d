"""Credentials reach no file and no message."""

import re
import subprocess
from pathlib import Path

import pytest

from progan.pipeline.config.schema import load_config
from progan.pipeline.config.secrets import has_credentials, without_secrets
from progan.pipeline.errors import ConfigError
from workers import BIN


@pytest.mark.parametrize(
    "uri",
    [
        "https://me:s3cr3t@host:5000",
        "https://s3cr3t@host/path",
        "http://me:s3/cr#3t@host",
        "postgresql+psycopg2://me:s3cr3t@host/mlflow",
        "https://host/mlflow?access_token=s3cr3t",
        "mysql://host/mlflow?user=me&password=s3cr3t",
        "https://host/mlflow?X-Amz-Signature=s3cr3t",
        "https://host/mlflow?a=1;sig=s3cr3t",
        "https://host/mlflow?api%5Fk%65y=s3cr3t",
        "https://host/mlflow#access_token=s3cr3t",
        "https://host/mlflow#token:s3cr3t",
        "postgresql://:s3cr3t@host/mlflow",
    ],
)
def test_credentials_in_a_uri_are_refused_and_not_shown(uri: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_config("demo", (f"tracking.mlflow={uri}",))
    assert "tracking.mlflow: holds credentials" in str(error.value)
    assert "MLFLOW_TRACKING_TOKEN" in str(error.value)
    assert "s3" not in str(error.value)


@pytest.mark.parametrize(
    "override",
    ["model.init=https://host/x?token=s3cr3t", "seed=https://me:s3cr3t@host",
     "launch.mounts=https://me:s3cr3t@host", "data.path=[https://host/x?sig=s3cr3t]"],
)  # fmt: skip
def test_messages_about_other_errors_show_no_credentials(override: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_config("demo", (override,))
    assert f"{override.partition('=')[0]}: holds credentials" in str(error.value)
    assert "s3cr3t" not in str(error.value)


@pytest.mark.parametrize(
    "uri",
    ["sqlite", "off", "http://host:5000", "sqlite:////home/a@b/mlflow.db", "databricks://profile",
     "sqlite:////home/12:30@b/mlflow.db", "postgresql://me@host/mlflow?sslmode=require"],
)  # fmt: skip
def test_uris_without_credentials_are_accepted(uri: str) -> None:
    assert not has_credentials(uri)
    assert load_config("demo", (f"tracking.mlflow={uri}",)).tracking.mlflow == uri


@pytest.mark.parametrize(
    "override",
    [
        "data.path=s3://me:s3cr3t@bucket/faces",
        "data.path=simplecache::https://me:s3cr3t@host/faces",
        "data.path=https://host/faces?X-Amz-Credential=s3cr3t",
        "model.init=https://host/faces?token=s3cr3t",
        "metrics.inception_weights=https://host/x#key=s3cr3t",
        "tracking.tags.docs=https://me:s3cr3t@host",
    ],
)
def test_credentials_are_refused_in_every_key(override: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_config("demo", (override,))
    key = override.partition("=")[0]
    assert f"demo: {key}: holds credentials" in str(error.value)
    assert "AWS_SECRET_ACCESS_KEY" in str(error.value)
    assert "s3cr3t" not in str(error.value)


def test_variables_of_the_ranks_may_hold_them() -> None:
    config = load_config("demo", ("launch.env.HTTPS_PROXY=http://me:s3cr3t@proxy",))
    assert config.launch.env == {"HTTPS_PROXY": "http://me:s3cr3t@proxy"}
    assert config.masked().launch.env == {"HTTPS_PROXY": "***"}


@pytest.mark.parametrize("value", ["[12345]", "[s3cr3t]", '"s3\\ncr3t"'])
def test_messages_do_not_show_the_ranks_variables(value: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_config("demo", (f"launch.env.TOKEN={value}",))
    assert "TOKEN" in str(error.value)
    assert not {"12345", "cr3t"} & set(re.findall(r"\w+", str(error.value)))
    assert "s3cr3t" not in f"{error.value.__cause__}"


def test_uri_without_scheme_is_refused() -> None:
    with pytest.raises(ConfigError, match="tracking.mlflow: must be sqlite, off, or a URI"):
        load_config("demo", ("tracking.mlflow=localhost:5000",))


def test_traceback_shows_no_credentials(tmp_path: Path) -> None:
    argv = [
        str(BIN / "progan"),
        "--debug",
        "train",
        "demo",
        "tracking.mlflow=http://me:s3cr3t@host",
    ]
    result = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert result.returncode != 0
    assert "Traceback" in result.stderr
    assert "s3cr3t" not in result.stderr.replace(argv[-1], "")


def test_without_secrets_removes_credentials_from_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "t0ken")
    message = (
        "PUT to https://me:s3cr3t@host/x?sig=abc&se=1 failed: 'Bearer t0ken' "
        "(proxy 'http://me:pa@ss@proxy:80'), see http://host/y?z=1) or s3://b/x#token=1"
    )
    assert without_secrets(message) == (
        "PUT to https://***@host/x?*** failed: 'Bearer ***' "
        "(proxy 'http://***@proxy:80'), see http://host/y?***) or s3://b/x#***"
    )
