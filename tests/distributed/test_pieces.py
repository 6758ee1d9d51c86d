"""Penalties, constraints and what objectives remember, on two ranks, through a fade and a kill."""

import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

from progan.stages.folder import StageFolder
from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.spectral import layers
from progan.stages.spec import CheckpointSpec, EngineSpec, GrowthSpec, ObjectiveSpec, StageSpec
from workers import checkpoints, content, figures, run, spec, start

pytestmark = pytest.mark.slow
BOTH = ["generator", "discriminator"]
OBJECTIVES: dict[str, dict[str, Any]] = {
    "normalised": {
        "loss": "hinge",
        "penalties": [
            {"kind": "spectral_norm", "networks": BOTH},
            {"kind": "dragan", "weight": 10, "interval": 2},
            {"kind": "orthogonal", "weight": 0.001, "networks": BOTH},
        ],
    },
    "clipped": {
        "penalties": [
            {"kind": "weight_clip", "bound": 0.1},
            {"kind": "historical_average", "weight": 0.01, "networks": BOTH},
            {"kind": "feature_matching", "weight": 1},
        ],
        "critic_steps": 2,
    },
    "consensus": {"loss": "nonsaturating", "penalties": [{"kind": "consensus", "weight": 0.1}]},
    "began": {"loss": {"kind": "began", "lambda_k": 0.1}, "penalties": []},
}


def stage(dataset: Path, objective: str, **changes: Any) -> StageSpec:
    chosen = ObjectiveSpec.model_validate(OBJECTIVES[objective])
    return spec(dataset, objective=chosen, **changes)


@pytest.fixture(scope="module")
def before(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a stage at 8x8 published."""
    short = spec(shapes, growth=GrowthSpec(fade_images=0, steady_images=32))
    return run(short, tmp_path_factory.mktemp("before"), ranks=2).final


def kill(folder: StageFolder, process: subprocess.Popen[bytes], after: int) -> None:
    """End a stage's processes at once when it has written so many checkpoints."""
    while len(checkpoints(folder)) < after:
        assert process.poll() is None, folder.log.read_text()[-3000:]
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not folder.final.exists()
    while subprocess.run(["pgrep", "-f", str(folder.spec)], capture_output=True).stdout:
        time.sleep(0.1)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_it_grows_in_bf16_and_a_kill_changes_no_byte(
    before: Path, shapes: Path, tmp_path: Path, objective: str
) -> None:
    grown = stage(
        shapes,
        objective,
        resolution=16,
        grown_from=before,
        growth=GrowthSpec(fade_images=96, steady_images=160),
        engine=EngineSpec(precision="bf16", zero=1),
        micro_batch=4,
        checkpoint=CheckpointSpec(every_minutes=1e-6, keep=99),
    )
    unbroken = run(grown, tmp_path / "unbroken", ranks=2)
    killed = StageFolder(tmp_path / "killed")
    kill(killed, start(grown, killed.path, ranks=2), after=2)
    run(grown, killed.path, ranks=2)
    assert figures(killed) == figures(unbroken)
    assert content(killed.final) == content(unbroken.final)
    last = max(checkpoints(unbroken))
    assert last in checkpoints(killed)
    assert content(killed.checkpoint(last)) == content(unbroken.checkpoint(last))


@pytest.mark.parametrize("objective", ["normalised", "consensus", "began"])
def test_the_number_of_ranks_is_not_part_of_it(
    shapes: Path, tmp_path: Path, objective: str
) -> None:
    short = {"growth": GrowthSpec(fade_images=0, steady_images=96), "lr": 1e-4}
    one, two = (
        figures(run(stage(shapes, objective, **short), tmp_path / str(ranks), ranks))
        for ranks in (1, 2)
    )
    assert len(one) == len(two) == 3
    for alone, shared in zip(one, two, strict=True):
        assert alone.pop("phase") == shared.pop("phase")
        assert shared == pytest.approx(alone, rel=1e-3, abs=1e-5)


def test_clipped_weights_are_clipped_whatever_is_sharded(shapes: Path, tmp_path: Path) -> None:
    found = []
    for zero in (0, 1, 2):
        short = {
            "growth": GrowthSpec(fade_images=0, steady_images=96),
            "engine": EngineSpec.model_validate({"precision": "fp32", "zero": zero}),
            "lr": 1e-3,
        }
        folder = run(stage(shapes, "clipped", **short), tmp_path / str(zero), ranks=2)
        weights = load_file(folder.final / "discriminator.safetensors")
        found.append(figures(folder))
        for name, layer in layers(Discriminator(spec(shapes).model, 8)):
            used = abs(weights[f"{name}.weight"] * layer.scale)
            assert used.max() <= 0.1001 and (used > 0.0999).any(), name
        assert max(abs(v).max() for k, v in weights.items() if k.endswith("bias")) <= 0.1
    for other in found[1:]:
        for sharded, whole in zip(other, found[0], strict=True):
            assert sharded.pop("phase") == whole["phase"]
            numbers = {name: value for name, value in whole.items() if name != "phase"}
            assert sharded == pytest.approx(numbers, rel=1e-3, abs=1e-5)
