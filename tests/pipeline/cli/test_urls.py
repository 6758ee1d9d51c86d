"""`progan export` and `progan prepare` write to object storage."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from faulty_proxy import FaultyProxy
from networks import published
from progan.datasets.format.location import default_cache_folder
from progan.datasets.format.manifest import load_manifest
from progan.datasets.format.objects.store import ObjectStore
from progan.datasets.format.verify import verify
from progan.datasets.synthetic import draw_dataset
from progan.pipeline.cli.main import main


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    draw_dataset(tmp_path / "pictures", num=20, size=8)
    return tmp_path / "pictures"


def test_export_is_stored_with_its_checksums(s3: FaultyProxy, tmp_path: Path) -> None:
    published(tmp_path / "final")
    result = run("export", tmp_path / "final", "s3://store/model")
    assert result.exit_code == 0, result.output
    assert "s3://store/model: generator at 8x8" in result.stderr
    store = ObjectStore("s3://store/model")
    lines = (store.read("SHA256SUMS") or b"").decode().splitlines()
    assert {line.split("  ")[1] for line in lines} == store.sizes().keys() - {"SHA256SUMS"}
    assert all(store.sha256(line.split("  ")[1]) == line.split("  ")[0] for line in lines)
    again = run("export", tmp_path / "final", "s3://store/model")
    assert again.exit_code == 1 and "is there already" in again.stderr


def test_dataset_is_stored_after_an_interruption(s3: FaultyProxy, pictures: Path) -> None:
    words = "prepare", pictures, "s3://store/shapes", "--resolution", 8, "--workers", 1
    s3.cut_bodies_to = 1000
    cut = run(*words)
    assert cut.exit_code == 1 and "check the network" in cut.stderr
    assert "manifest.json" not in ObjectStore("s3://store/shapes").sizes()
    s3.cut_bodies_to = None
    result = run(*words)
    assert result.exit_code == 0, result.output
    manifest = load_manifest("s3://store/shapes")
    assert manifest.num_samples == 20 and verify("s3://store/shapes", manifest) == []
    assert list((default_cache_folder() / "building").iterdir()) == []


def test_folder_to_build_in_is_kept(s3: FaultyProxy, pictures: Path, tmp_path: Path) -> None:
    result = run("prepare", pictures, "s3://store/shapes", "--resolution", 8, "--workers", 1,
                 "--build-in", tmp_path / "built")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert load_manifest(tmp_path / "built") == load_manifest("s3://store/shapes")


@pytest.mark.parametrize("command", ["export run", "prepare pictures --resolution 8"])
def test_urls_with_credentials_are_refused(command: str) -> None:
    result = run(*command.split(), "s3://key:secret@store/x")
    assert result.exit_code == 2 and "secret" not in result.stderr


def test_no_upload_begins_without_a_bucket(s3: FaultyProxy, tmp_path: Path) -> None:
    published(tmp_path / "final")
    result = run("export", tmp_path / "final", "s3://nobucket/model")
    assert result.exit_code == 1 and "no such bucket" in result.stderr
