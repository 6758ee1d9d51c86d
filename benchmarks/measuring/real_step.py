"""The real training step on drawn pictures, which the benchmarks time."""

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

import measuring.deepspeed_to_stderr  # noqa: F401
from measuring.flop import FlopCount
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


class StageFactory:
    """Builds stages; draws their data sets, and publishes networks for them to grow from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.world = join_process_group()

    def stage(self, config: RunConfig, resolution: int) -> Stage:
        """The stage of a run with this configuration, half-way through its fade if it has one.

        Its images_seen stays the same at every step.
        """
        data = self._data_set(resolution)
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

    def _data_set(self, resolution: int) -> Path:
        target = self.folder / f"data-{resolution}"
        if not target.exists():
            drawn = self.folder / f"drawn-{resolution}"
            draw_dataset(drawn, num=PICTURES, size=max(8, resolution))
            with ThreadPoolExecutor(1) as thread:  # a process would have to load torch first
                prepare(drawn, target, resolution, executor=thread)
        return target


@contextmanager
def stage_factory() -> Iterator[StageFactory]:
    """A factory with a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="progan-benchmark-") as name:
        yield StageFactory(Path(name))


def join_process_group() -> World:
    """Join the process group that the launcher's environment describes, or one of a single rank."""
    world = detect()
    start_distributed(world, timedelta(minutes=10))
    return world


def configuration(batch: int, precision: str, overrides: tuple[str, ...]) -> RunConfig:
    """The paper's networks and objective with `key=value` overrides."""
    words = (f"batch={batch}", f"engine.precision={precision}", *overrides)
    return load_config("celebahq-1024-1gpu", words)


def unchecked_update(
    name: str, step_id: StepId, world: World, scalars: Mapping[str, Tensor]
) -> Update:
    """The result of an engine that checks and measures nothing: only the objective's scalars."""
    return Update(
        name, step_id, world, AsyncScalars(scalars, stack_scalars(scalars)), {}, None, False
    )


class BareEngine:
    """`Engine` without DeepSpeed: backward and torch's optimiser, without checks."""

    def __init__(self, name: str, module: torch.nn.Module, spec: StageSpec, world: World) -> None:
        self.name = name
        self._world = world
        rate = spec.rates["discriminator" if name == "discriminator" else "generator"]
        self._adam = make_optimizer(module.parameters(), rate, spec.optimizer)

    def update(
        self, objectives: Iterable[Objective], step_id: StepId, piggybacked: object = None
    ) -> Update:
        """One optimiser step; the result has no scalars."""
        for objective in objectives:
            objective.loss.backward()  # type: ignore[no-untyped-call]
        self._adam.step()
        self._adam.zero_grad(set_to_none=True)
        return unchecked_update(self.name, step_id, self._world, {})


def without_deepspeed(stage: Stage) -> Stage:
    """The stage with copies of its networks in bare engines; data and random numbers are shared."""
    copies = _copy_networks(stage)
    engines: dict[str, Any] = {
        f"{name}_engine": BareEngine(name, copies[name], stage.spec, stage.world)
        for name in ("generator", "discriminator")
    }
    return replace(stage, **copies, **engines)


def one_step(stage: Stage) -> None:
    """Update discriminator, generator and average; the scalars are dropped.

    The position in the stream of reals advances, by which penalties with an interval are due.
    """
    step(stage, dict)
    stage.position += stage.spec.images_per_step


def count_flop(stage: Stage) -> int:
    """FLOP of the convolutions and matrix products of one step, which it runs uncompiled.

    For penalties with an interval the caller has to average over steps.
    """
    with torch.compiler.set_stance("force_eager"), FlopCount() as count:
        one_step(stage)
    return int(count.total)


def peak_bytes(stage: Stage) -> int:
    """Peak memory of tensors during a step, weights and moments included."""
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
    return int(peak) + _state_bytes(stage)


def _state_bytes(stage: Stage) -> int:
    """Bytes of weights, average and Adam's moments, which exist before the step."""
    generator = sum(p.numel() for p in stage.generator.parameters())
    discriminator = sum(p.numel() for p in stage.discriminator.parameters())
    copies = stage.spec.engine.sharding(stage.world.size) > 0  # of the weights, by ZeRO
    return 4 * ((3 + copies) * (generator + discriminator) + generator)


def _publish(spec: StageSpec, folder: Path) -> None:
    """Write what the stage before this one would have published."""
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


def _copy_networks(stage: Stage) -> dict[str, Any]:
    spec, device = stage.spec, stage.world.device
    shape = {"fading": spec.grown_from is not None}
    generator = Generator(spec.model, spec.resolution, **shape)
    ema = Generator(spec.model, spec.resolution, **shape).requires_grad_(False)
    networks: dict[str, Any] = {
        "generator": generator,
        "ema": ema,
        "discriminator": Discriminator(spec.model, spec.resolution, **shape),
    }
    for name, network in networks.items():
        network.to(device).load_state_dict(getattr(stage, name).state_dict())
    return networks
