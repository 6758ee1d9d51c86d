"""The step that training takes, put together on toy data: what the benchmarks time."""

import gc
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import apart  # noqa: F401
from flop import FlopCount
from progan.datasets.build.prepare import prepare
from progan.datasets.format.manifest import load_manifest
from progan.datasets.synthetic import draw_dataset
from progan.pipeline.config.schema import RunConfig, load_config
from progan.pipeline.plan.plan import stage_spec
from progan.pipeline.run_folder import RunFolder
from progan.stages.distributed.process_group import start_distributed
from progan.stages.distributed.scalars import AsyncScalars, stack_scalars
from progan.stages.distributed.world import World, detect
from progan.stages.engine.optimizers import make_optimizer
from progan.stages.engine.update import Objective, StepId, Update
from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.generator import Generator
from progan.stages.networks.multi_discriminator import make_discriminator
from progan.stages.specs.stage import StageSpec
from progan.stages.storage import handoff
from progan.stages.storage.final import Final
from progan.stages.training.loop import step
from progan.stages.training.stage import Stage, build

PICTURES = 64


class Toys:
    """Drawn pictures, and networks to grow from, made when first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.world = join()

    def stage(self, config: RunConfig, resolution: int) -> Stage:
        """A stage as a run of this configuration has it; half faded in if it can be.

        It does not move on: every step is at the same number of images.
        """
        data = self._pictures(resolution)
        config = config.model_copy(
            update={"data": config.data.model_copy(update={"path": str(data)})}
        )
        run = RunFolder(Path(tempfile.mkdtemp(dir=self.folder)))
        first = config.growth.model_copy(update={"first": 4})
        spec = stage_spec(
            config.model_copy(update={"growth": first}),
            run,
            load_manifest(str(data)).fingerprint,
            resolution,
        )
        if spec.grown_from:
            _publish(spec, spec.grown_from)
        stage = build(spec, self.world, None, [])
        stage.images_seen = spec.growth.fade_images // 2
        return stage

    def _pictures(self, resolution: int) -> Path:
        target = self.folder / f"data-{resolution}"
        if not target.exists():
            drawn = self.folder / f"drawn-{resolution}"
            draw_dataset(drawn, num=PICTURES, size=max(8, resolution))
            with ThreadPoolExecutor(1) as here:  # a process would have to load torch first
                prepare(drawn, target, resolution, executor=here)
        return target


@contextmanager
def toys() -> Iterator[Toys]:
    """Toys for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="progan-benchmark-") as name:
        yield Toys(Path(name))


def join() -> World:
    """The process group that the launcher's environment describes, or one of our own."""
    world = detect()
    start_distributed(world, timedelta(minutes=10))
    return world


def configuration(batch: int, precision: str, overrides: tuple[str, ...]) -> RunConfig:
    """The paper's networks and objective, changed by `key=value` words."""
    words = (f"batch={batch}", f"engine.precision={precision}", *overrides)
    return load_config("celebahq-1024-1gpu", words)


def silent(name: str, moment: StepId, world: World, scalars: Mapping[str, Tensor]) -> Update:
    """What an engine says that looks at nothing: scalars for what the objective remembers."""
    return Update(
        name, moment, world, AsyncScalars(scalars, stack_scalars(scalars)), {}, None, False
    )


class BareEngine:
    """What `Engine` does without DeepSpeed: backward, torch's optimiser, nothing looked at."""

    def __init__(self, name: str, module: torch.nn.Module, spec: StageSpec, world: World) -> None:
        self.name = name
        self._world = world
        rate = spec.rates["discriminator" if name == "discriminator" else "generator"]
        self._adam = make_optimizer(module.parameters(), rate, spec.optimizer)

    def update(
        self, objectives: Iterable[Objective], moment: StepId, piggybacked: object = None
    ) -> Update:
        """One step down the gradient; has nothing to say that could be read."""
        for objective in objectives:
            objective.loss.backward()  # type: ignore[no-untyped-call]
        self._adam.step()
        self._adam.zero_grad(set_to_none=True)
        return silent(self.name, moment, self._world, {})


def bare(stage: Stage) -> Stage:
    """A stage with the same networks' twins, data and random numbers, without DeepSpeed."""
    twins = _twins(stage)
    engines: dict[str, Any] = {
        f"{name}_engine": BareEngine(name, twins[name], stage.spec, stage.world)
        for name in ("generator", "discriminator")
    }
    return replace(stage, **twins, **engines)


def one_step(stage: Stage) -> None:
    """Discriminator, generator, average; nothing kept."""
    step(stage, dict)


def count_flop(stage: Stage) -> int:
    """Multiplications and additions of one step that convolutions and matrix products make.

    Counted while it runs, so that a penalty that is not in every step has to be averaged by the
    caller; and not compiled, as nothing can be seen of what is.
    """
    with torch.compiler.set_stance("force_eager"), FlopCount() as count:
        one_step(stage)
    return int(count.total)


def peak_bytes(stage: Stage) -> int:
    """The most that tensors take during a step, weights and moments included."""
    if stage.world.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        one_step(stage)
        return int(torch.cuda.max_memory_allocated())
    gc.collect()
    cpu = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=cpu, profile_memory=True) as profile:
        one_step(stage)
    events: list[Any] = [
        e for e in profile.profiler.kineto_results.events() if e.name() == "[memory]"
    ]
    now = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        now += event.nbytes()
        peak = max(peak, now)
    return int(peak) + _held(stage)


def _held(stage: Stage) -> int:
    """Weights, average and Adam's moments, which are there before the step."""
    weights = sum(p.numel() for p in stage.generator.parameters())
    others = sum(p.numel() for p in stage.discriminator.parameters())
    copies = stage.spec.engine.sharding(stage.world.size) > 0  # ZeRO's own
    return 4 * ((3 + copies) * (weights + others) + weights)


def _publish(spec: StageSpec, folder: Path) -> None:
    """What a finished stage before this one would have left."""
    before = spec.resolution // 2
    generator, discriminator = Generator(spec.model, before), make_discriminator(spec.model, before)
    networks = {"generator": generator, "discriminator": discriminator, "ema": generator}
    final = Final(
        resolution=before,
        images_seen=0,
        model=spec.model,
        seed=spec.seed,
        data_fingerprint=spec.data_fingerprint,
    )
    handoff.publish(folder, final, dict(networks))


def _twins(stage: Stage) -> dict[str, Any]:
    spec, device = stage.spec, stage.world.device
    shape = {"fading": spec.grown_from is not None}
    generator = Generator(spec.model, spec.resolution, **shape)
    average = Generator(spec.model, spec.resolution, **shape).requires_grad_(False)
    found: dict[str, Any] = {
        "generator": generator,
        "average": average,
        "discriminator": Discriminator(spec.model, spec.resolution, **shape),
    }
    for name, twin in found.items():
        twin.to(device).load_state_dict(getattr(stage, name).state_dict())
    return found
