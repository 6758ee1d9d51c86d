"""What a rank needs of its machine's memory."""

from pathlib import Path

import pytest

from progan.datasets.build.prepare import prepare
from progan.datasets.synthetic import draw_dataset
from progan.pipeline.config.schema import load_config
from progan.pipeline.plan.host_memory import GIB, Machine, host_memory
from progan.pipeline.plan.plan import stage_specs
from progan.pipeline.run_folder import RunFolder
from progan.stages.specs.stage import StageSpec

TRAINING = {"weights": 2 * GIB, "activations": 6 * GIB}


def stage(*words: str) -> StageSpec:
    config = load_config("cifar10-32", ("growth.first=32", *words))
    return stage_specs(config, RunFolder(Path("RUN")), "")[0]


@pytest.mark.parametrize("on_gpus", [True, False])
def test_measuring_takes_what_was_measured(on_gpus: bool) -> None:
    """8,192 pictures of 32x32 on two CPU ranks took 1.1 GiB more than without."""
    needs = host_memory(stage(), {"weights": 0}, Machine(2, on_gpus, None))
    assert needs["measuring"] / GIB == pytest.approx(1.1, rel=0.1)


def test_measuring_uses_what_a_step_has_freed() -> None:
    needs = host_memory(stage(), TRAINING, Machine(2, False, None))
    assert (needs["training"], needs["measuring"]) == (8 * GIB, 0)


def test_training_on_gpus_takes_none_of_the_host() -> None:
    assert "training" not in host_memory(stage(), TRAINING, Machine(2, True, None))


def test_without_swd_measuring_takes_little() -> None:
    without = stage("metrics.during=[]", "metrics.at_end=[ms_ssim]")
    assert host_memory(without, {}, Machine(1, True, None))["measuring"] == 0


def test_data_set_bounds_cache_and_measuring(tmp_path: Path) -> None:
    draw_dataset(tmp_path / "pictures", num=40, size=32)
    manifest = prepare(tmp_path / "pictures", tmp_path / "shapes", 32, workers=1)
    config = load_config("demo", (f"data.path={tmp_path / 'shapes'}",))
    machine = Machine.of(config, ranks=2)
    assert machine.manifest == manifest
    needs = host_memory(stage(), {}, machine)
    assert needs["cache"] == 40 * 3 * 32 * 32
    assert 0 < needs["measuring"] < 0.02 * GIB
    assert host_memory(stage("data.cache_gb=0"), {}, machine)["cache"] == 0
