"""A run that starts from networks made elsewhere, through the command line."""

import subprocess
from pathlib import Path

import pytest

from networks import published
from progan.pipeline.exports.export import export_networks
from progan.pipeline.run_folder import RunFolder, frozen_config
from progan.pipeline.sampling.generate import load_networks
from progan.stages.storage.pretrained import read_published
from progan.stages.storage.tensors import read_tensors
from workers import BIN

CONFIG = """
data: {path: %s}
model: {latent: 16, fmap_base: 64, fmap_max: 16}
growth: {first: 8, last: 16, fade_kimg: 0.016, steady_kimg: 0.016}
batch: 16
optimizer: {lr: 1e-12}
engine: {precision: fp32}
tracking: {mlflow: off}
"""


def train(cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [str(BIN / "progan"), "train", "tiny.yaml", "--run", "run", *words]
    return subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=1500)


@pytest.mark.slow
def test_run_starts_from_the_networks_of_another(shapes: Path, tmp_path: Path) -> None:
    given = published(tmp_path / "final", resolution=8)
    (tmp_path / "tiny.yaml").write_text(CONFIG % shapes)
    done = train(tmp_path, "model.init=final")
    assert done.returncode == 0, done.stderr
    run = RunFolder(tmp_path / "run")
    made = read_published(run.stage(8).final)
    # At a learning rate that changes no weight, the stage publishes the bytes that it was given.
    assert made.checksums["generator"] == given.checksums["generator"]
    assert made.checksums["discriminator"] == given.checksums["discriminator"]
    assert read_published(run.stage(16).final).resolution == 16
    assert frozen_config(run).model.init_sha256 == given.fingerprint

    published(tmp_path / "final", resolution=8, stddev_group=2)
    (tmp_path / "final" / "ema.safetensors").unlink()
    changed = train(tmp_path, "model.init=final")
    assert (changed.returncode, "ema.safetensors is missing" in changed.stderr) == (2, True)


@pytest.mark.slow
def test_run_from_an_export_has_a_new_discriminator(shapes: Path, tmp_path: Path) -> None:
    given = published(tmp_path / "final", resolution=8)
    export_networks(given, tmp_path / "model")
    (tmp_path / "tiny.yaml").write_text(CONFIG % shapes)
    done = train(tmp_path, "model.init=model", "growth.last=8")
    assert done.returncode == 0, done.stderr
    folder = RunFolder(tmp_path / "run").stage(8)
    made = read_published(folder.final)
    # The same bytes but for the header, which says more in an export.
    initial = load_networks(given, "ema").state_dict()
    assert all(v.equal(initial[k]) for k, v in read_tensors(made.files["generator"]).items())
    assert made.checksums["discriminator"] != given.checksums["discriminator"]
    assert "has no discriminator: it begins anew" in folder.log.read_text()
