"""The memory estimate against what real steps of real engines allocate."""

import gc
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from progan.datasets.build.prepare import prepare
from progan.datasets.synthetic import draw_dataset
from progan.stages.costs.estimate import footprint
from progan.stages.costs.live_bytes import LiveBytes
from progan.stages.distributed.world import World
from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.generator import Generator
from progan.stages.specs.model import (
    DiscriminatorSpec,
    GeneratorSpec,
    ModelSpec,
    RepresentativeSpec,
)
from progan.stages.specs.objective import ObjectiveSpec, ReplaySpec
from progan.stages.specs.optimizers import RmsPropSpec, SgdSpec
from progan.stages.specs.penalties import ModeRegularizer
from progan.stages.specs.stage import EngineSpec, GrowthSpec, StageSpec
from progan.stages.storage import handoff
from progan.stages.storage.final import Final
from progan.stages.training.loop import step
from progan.stages.training.stage import build
from workers import spec

NARROW = ModelSpec(latent=64, fmap_base=1024, fmap_max=32)
MODES = ModeRegularizer(kind="mode_regularizer")
DCGAN = ModelSpec(
    arch="dcgan", latent=100, fmap_base=256,
    generator=GeneratorSpec(norm="batch"), discriminator=DiscriminatorSpec(norm="batch"),
)  # fmt: skip
SHARED = RepresentativeSpec(resolution=32, fmap_base=2048, fmap_max=64, sha256="")
SHARING = NARROW.model_copy(update={"discriminator": DiscriminatorSpec(representative=SHARED)})
PLAIN = ObjectiveSpec.model_validate({"loss": "nonsaturating", "penalties": []})
RMSPROP = RmsPropSpec(kind="rmsprop")
SGD = SgdSpec(kind="sgd")
on_a_cpu = pytest.mark.skipif(torch.cuda.is_available(), reason="DeepSpeed would take the GPU")


@pytest.fixture(autouse=True)
def sharded_over_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """One rank alone is spared the sharding that is to be counted here."""
    monkeypatch.setattr(EngineSpec, "sharding", lambda spec, ranks: spec.zero)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16 drawn pictures prepared up to 128 pixels."""
    folder = tmp_path_factory.mktemp("pictures")
    draw_dataset(folder / "drawn", num=16, size=128)
    prepare(folder / "drawn", folder / "dataset", 128, workers=1)
    return folder / "dataset"


@pytest.fixture(scope="module")
def grown_from(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `final` folder of a stage at 32x32."""
    generator = Generator(NARROW, 32)
    networks = {
        "generator": generator, "discriminator": Discriminator(NARROW, 32), "ema": generator,
    }  # fmt: skip
    folder = tmp_path_factory.mktemp("0032") / "final"
    final = Final(resolution=32, images_seen=0, model=NARROW, seed=1, data_fingerprint="")
    handoff.publish(folder, final, dict(networks))
    return folder


def stage_spec(data: Path, *, zero: int = 1, recompute_from: int | None = None,
               precision: str = "fp32", **changes: Any) -> StageSpec:  # fmt: skip
    engine = {"zero": zero, "precision": precision, "activation_checkpointing": recompute_from}
    narrow = {
        "resolution": 64,
        "batch": 4,
        "growth": GrowthSpec(fade_images=0, steady_images=1000),
        "model": NARROW,
        "engine": engine,
    }
    return spec(data, **(narrow | changes))


def two_steps(spec: StageSpec, world: World) -> None:
    """Adam makes its moments in the first, so that the second takes the most."""
    stage = build(spec, world, None, [])
    with stage.batches:
        for _ in range(2):
            step(stage, dict)
            stage.images_seen += spec.images_per_step


def assert_agrees(spec: StageSpec, world: World) -> None:
    """Within 15 %. The profiler now and then loses a release, so that a peak is too high by it."""
    estimate = sum(footprint(spec, 1).values())
    measured = list[int]()
    while len(measured) < 3:
        measured.append(allocated_on_the_cpu(spec, world))
        if estimate == pytest.approx(measured[-1], rel=0.15):
            return
    pytest.fail(f"estimated {estimate:,} bytes, three times measured {measured}")


def allocated_on_the_cpu(spec: StageSpec, world: World) -> int:
    """The peak of torch's own allocations, as its profiler records them one by one."""
    gc.collect()
    cpu = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=cpu, profile_memory=True) as profile:
        two_steps(spec, world)
    events = [e for e in profile.profiler.kineto_results.events() if e.name() == "[memory]"]
    now = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        now += event.nbytes()
        peak = max(peak, now)
    return peak


@on_a_cpu
@pytest.mark.parametrize(
    "changes",
    [
        {"zero": 1, "batch": 8, "micro_batch": 4},
        {"zero": 2, "recompute_from": 4},
        {"zero": 2, "resolution": 4, "model": ModelSpec(fmap_max=128)},
        pytest.param(
            {"objective": ObjectiveSpec(unrolled=2), "resolution": 8}, marks=pytest.mark.slow
        ),
        {"objective": ObjectiveSpec(replay=ReplaySpec(size=800)), "resolution": 16},
        {"objective": ObjectiveSpec(penalties=(MODES,)), "resolution": 16},
        {"optimizer": RMSPROP, "resolution": 4, "model": ModelSpec(fmap_max=128)},
        {"optimizer": SGD, "resolution": 4, "model": ModelSpec(fmap_max=128)},
        {"model": DCGAN, "objective": PLAIN, "resolution": 32, "batch": 16},
        {"objective": PLAIN, "augment": "ada", "resolution": 32},
        {"model": SHARING, "resolution": 16, "batch": 16},
    ],
    ids=[
        "two parts",
        "recomputed",
        "weights outweigh activations",
        "unrolled",
        "replay",
        "encoder",
        "rmsprop",
        "sgd",
        "dcgan",
        "augmented",
        "shared encoder",
    ],
)
def test_estimate_agrees_with_what_a_step_allocates(
    changes: dict[str, Any], pictures: Path, world: World
) -> None:
    spec = stage_spec(pictures, **changes)
    assert_agrees(spec, world)


@on_a_cpu
@pytest.mark.slow
@pytest.mark.parametrize("changes", [
    {"resolution": 64, "zero": 0},
    {"resolution": 64, "recompute_from": 64, "micro_batch": 4},
    {"resolution": 128, "recompute_from": 4},
    {"resolution": 128, "zero": 2, "micro_batch": 4},
    {"resolution": 128, "precision": "bf16"},
], ids=lambda changes: ", ".join(f"{key} {value}" for key, value in changes.items()))  # fmt: skip
def test_estimate_holds_for_wider_networks(
    changes: dict[str, Any], pictures: Path, world: World
) -> None:
    """Each sharding, precision, recomputation and micro-batch at one resolution or the other."""
    fields: dict[str, Any] = {"batch": 8, "model": ModelSpec(fmap_base=2048, fmap_max=256)}
    spec = stage_spec(pictures, **(fields | changes))
    assert_agrees(spec, world)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("zero", [0, 1, 2])
def test_estimate_agrees_with_a_step_on_a_gpu(
    zero: int, precision: str, pictures: Path, world: World
) -> None:
    spec = stage_spec(
        pictures, model=ModelSpec(), resolution=128, batch=16, zero=zero, precision=precision
    )
    gc.collect()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    two_steps(spec, world)
    measured = torch.cuda.max_memory_allocated() - before
    assert sum(footprint(spec, 1).values()) == pytest.approx(measured, rel=0.15)


@on_a_cpu
def test_estimate_counts_both_paths_of_a_fade(
    pictures: Path, grown_from: Path, world: World
) -> None:
    fade = GrowthSpec(fade_images=1000, steady_images=1000)
    spec = stage_spec(pictures, zero=0, grown_from=grown_from, growth=fade)
    assert_agrees(spec, world)


def test_stacked_training_is_estimated_as_its_joint_phase(pictures: Path, grown_from: Path) -> None:
    stacked = GrowthSpec(mode="stacked", fade_images=1000, steady_images=1000)
    at_once = GrowthSpec(mode="none", fade_images=0, steady_images=1000)
    specs = [stage_spec(pictures, grown_from=grown_from, growth=g) for g in (stacked, at_once)]
    assert footprint(specs[0], 1) == footprint(specs[1], 1)


def test_sharding_over_more_ranks_takes_less_memory_of_each(pictures: Path) -> None:
    def total(zero: int, ranks: int) -> int:
        spec = stage_spec(pictures, resolution=4, model=ModelSpec(), batch=4 * ranks, zero=zero)
        return sum(footprint(spec, ranks).values())

    assert total(zero=0, ranks=1) == total(zero=0, ranks=8) > 1.25 * total(zero=1, ranks=8)


def test_recomputing_takes_less_memory(pictures: Path) -> None:
    kept, recomputed = (
        footprint(stage_spec(pictures, recompute_from=lowest), 1)["activations"]
        for lowest in (None, 4)
    )
    assert recomputed < 0.85 * kept


def test_live_bytes_are_counted_by_kind() -> None:
    with LiveBytes() as live:
        with live.making("weights"):
            weights = torch.empty(100)
        passing = weights + 1
        view = passing[:50]
        del passing
        assert live.now == {"weights": 400, "activations": 400}
        live.recount(view, "gradients")
        assert (live.now["gradients"], live.now["activations"]) == (400, 0)
        del view
    assert live.now.total() == 400
    assert live.at_peak == {"weights": 400, "activations": 400}


def test_estimate_does_not_load_deepspeed() -> None:
    """`progan plan --json` prints one document; DeepSpeed prints a line when it is loaded."""
    code = "import sys, progan.stages.costs.estimate; print('deepspeed' in sys.modules)"
    printed = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert printed == "False\n"
