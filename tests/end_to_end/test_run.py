"""The main job through the command line, with its orchestrator killed in a fade."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from progan.pipeline.run.events import EventLog
from progan.pipeline.run_folder import RunFolder

pytestmark = pytest.mark.slow
PROGAN = str(Path(sys.executable).with_name("progan"))
CONFIG = """
data: {path: %s}
model: {latent: 16, fmap_base: 64, fmap_max: 16}
growth: {first: 4, last: 8, fade_kimg: 1.6, steady_kimg: 0.64}
batch: 16
ema: {half_life_kimg: 0.2}
engine: {precision: fp32}
checkpoint: {every_minutes: 0.01}
ticks: {kimg: 0.32, grid: 4}
"""


def progan(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    argv = [PROGAN, *map(str, words)]
    return subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=200)


def end_everything_under(folder: Path) -> None:
    for process in psutil.process_iter(["cmdline"]):
        if any(str(folder) in word for word in process.info["cmdline"] or []):
            process.kill()


@pytest.fixture(scope="module")
def workplace(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a configuration; processes that still run in it at the end are killed."""
    folder = tmp_path_factory.mktemp("workplace")
    (folder / "tiny.yaml").write_text(CONFIG % shapes)
    yield folder
    end_everything_under(folder)


@pytest.fixture(scope="module")
def run(workplace: Path) -> RunFolder:
    """A run whose orchestrator was killed in the fade to 8x8, and then started again."""
    folder = RunFolder(workplace / "run")
    train = [PROGAN, "train", "tiny.yaml", "--run", "run"]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    first = subprocess.Popen(train, cwd=workplace, stderr=subprocess.PIPE, env=environment)
    deadline = time.monotonic() + 150
    while not list(folder.stage(8).checkpoints.glob("[0-9]*")):
        assert first.poll() is None and time.monotonic() < deadline, first.communicate()
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    again = progan("train", "tiny.yaml", "--run", "run", cwd=workplace)
    assert again.returncode == 0, again.stderr
    return folder


def test_new_orchestrator_adopts_running_workers(run: RunFolder) -> None:
    kinds = [(e.kind, e.fields.get("resolution")) for e in EventLog(run.events).events()]
    assert kinds == [
        ("run_created", None),
        ("stage_started", 4),
        ("stage_finished", 4),
        ("stage_started", 8),
        ("stage_finished", 8),
    ]


def test_status_is_done(run: RunFolder, workplace: Path) -> None:
    document = json.loads(progan("status", "run", "--json", cwd=workplace).stdout)
    stages = [(stage["resolution"], stage["state"]) for stage in document["stages"]]
    assert stages == [(4, "done"), (8, "done")]


def test_finished_run_is_not_trained_again(run: RunFolder, workplace: Path) -> None:
    before = run.events.read_bytes()
    assert progan("train", "tiny.yaml", "--run", "run", cwd=workplace).returncode == 0
    assert run.events.read_bytes() == before


def test_another_configuration_is_refused(run: RunFolder, workplace: Path) -> None:
    result = progan("train", "tiny.yaml", "seed=7", "--run", "run", cwd=workplace)
    assert result.returncode == 2
    assert "seed: the run was started with 0, not 7; start another run" in result.stderr


def size(picture: Path) -> tuple[int, int]:
    with Image.open(picture) as image:
        return image.size


def test_export_and_generate(run: RunFolder, workplace: Path) -> None:
    assert progan("export", "run", "model", cwd=workplace).returncode == 0
    described = json.loads((workplace / "model" / "generator.json").read_text())
    assert (described["resolution"], described["images_seen"]) == (8, 2240)
    assert progan("generate", "model", "grid.png", "--num", "9", cwd=workplace).returncode == 0
    assert size(workplace / "grid.png") == (3 * 66 + 2, 3 * 66 + 2)
    assert progan("generate", "model", "single", "--num", "3", cwd=workplace).returncode == 0
    assert [size(p) for p in (workplace / "single").iterdir()] == [(8, 8)] * 3


def test_evaluate(run: RunFolder, workplace: Path) -> None:
    ends = json.loads(run.stage(8).evaluation.read_bytes())
    assert [r["metric"] for r in ends["results"]] == ["ms_ssim"]
    words = ["--metrics", "swd,fid", "--at", "16", "--images", "32", "--json"]
    result = progan("evaluate", "run", *words, cwd=workplace)
    assert result.returncode == 0, result.stderr
    stages = json.loads(result.stdout)["stages"]
    assert [(s["resolution"], s["images_seen"]) for s in stages] == [(4, 640), (8, 2240)]
    for stage in stages:
        (swd,) = stage["results"]
        assert (swd["metric"], swd["at"], swd["images"]) == ("swd", 16, 32)
        assert swd["values"]["swd_16"] == swd["values"]["swd_mean"] > 0
        assert "download https://" in stage["left_out"]["fid"]
    kept = json.loads(run.stage(8).evaluation.read_bytes())["results"]
    assert kept == [*ends["results"], *stages[1]["results"]]


def test_evaluate_explains_errors(run: RunFolder, workplace: Path) -> None:
    for words, code, text in (
        (["--stage", "16"], 2, "--stage 16: the run's stages are [4, 8]"),
        (["--at", "4"], 2, "--at 4: stage 8 draws larger pictures than that"),
        (["--at", "12"], 3, "holds 4 to 16 pixels, not 12"),
    ):
        result = progan("evaluate", "run", *words, cwd=workplace)
        assert (result.returncode, result.stdout) == (code, "")
        assert text in result.stderr and "Traceback" not in result.stderr


def test_evaluate_takes_a_moved_data_set(run: RunFolder, workplace: Path, shapes: Path) -> None:
    shutil.copytree(shapes, workplace / "moved")
    words = ["evaluate", "run", "--metrics", "ms_ssim", "--images", "8", "--data"]
    assert progan(*words, "moved", cwd=workplace).returncode == 0
    result = progan(*words, "nowhere", cwd=workplace)
    assert (result.returncode, "if it was moved" in result.stderr) == (2, True)


def test_damaged_export_is_refused(run: RunFolder, workplace: Path) -> None:
    progan("export", "run", "damaged", "--stage", "4", cwd=workplace)
    weights = workplace / "damaged" / "generator.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    result = progan("generate", "damaged", "x.png", cwd=workplace)
    assert (result.returncode, "is missing or damaged" in result.stderr) == (3, True)


def tracked(workplace: Path) -> Any:
    """MLflow's runs, read in a process of their own: the library warns on import."""
    code = """
import json, mlflow
client = mlflow.MlflowClient("sqlite:///mlflow.db")
experiments = [e.experiment_id for e in client.search_experiments()]
print(json.dumps({r.info.run_name: {
    "status": r.info.status,
    "child": "mlflow.parentRunId" in r.data.tags,
    "seed": r.data.params["seed"],
    "steps": [m.step for m in client.get_metric_history(r.info.run_id, "discriminator_loss")],
    "samples": sorted(a.path for a in client.list_artifacts(r.info.run_id, "samples")),
    "grids": [a.path for a in client.list_artifacts(r.info.run_id, "images")],
} for r in client.search_runs(experiments)}))
"""
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=workplace, capture_output=True, text=True, check=True
    )
    return json.loads(result.stdout.splitlines()[-1])


def test_mlflow_has_each_value_once(run: RunFolder, workplace: Path) -> None:
    runs = tracked(workplace)
    assert set(runs) == {"run", "run-0004", "run-0008"}
    assert {name: r["child"] for name, r in runs.items()} == {
        "run": False, "run-0004": True, "run-0008": True,
    }  # fmt: skip
    assert {r["status"] for r in runs.values()} == {"FINISHED"}
    assert runs["run-0008"]["steps"] == list(range(320, 2241, 320))
    assert any("2240" in name for name in runs["run-0008"]["grids"])
    assert "samples/reals.png" in runs["run-0004"]["samples"]


def test_reopened_stage_resumes_and_later_stages_are_set_aside(
    run: RunFolder, workplace: Path
) -> None:
    # Last in this file: it changes the run.
    result = progan("resume", "run", "--stage", "4", "tracking.mlflow=off", cwd=workplace)
    assert result.returncode == 0, result.stderr
    kinds = [e.kind for e in EventLog(run.events).events()][-6:]
    assert kinds[:2] == ["config_changed", "stage_reopened"]
    assert len(list(run.superseded.glob("*/0004/final/manifest.json"))) == 1
    assert len(list(run.superseded.glob("*/0008/final/manifest.json"))) == 1
    assert run.stage(8).final.is_dir()
