"""The cost of a step against FLOP counted by torch, and its proportions against measured steps."""

from pathlib import Path

import pytest
import torch

from measuring.flop import FlopCount
from progan.pipeline.config.schema import load_config
from progan.pipeline.plan import costs
from progan.pipeline.plan.costs import step_cost
from progan.pipeline.plan.plan import stage_specs
from progan.pipeline.run_folder import RunFolder
from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.generator import Generator
from progan.stages.specs.stage import StageSpec

PICTURES = 4


def specs(*words: str) -> dict[int, StageSpec]:
    found = stage_specs(load_config("demo", words), RunFolder(Path("RUN")), "")
    return {spec.resolution: spec for spec in found}


@pytest.mark.parametrize("resolution", [4, 16, 64])
def test_multiplications_are_those_of_a_pass_through_both_networks(
    resolution: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PER_VALUE", "PER_WEIGHT", "PER_BLOCK"):
        monkeypatch.setattr(costs, name, 0)
    spec = specs("growth.last=64", "model.fmap_base=1024")[resolution]
    generator, discriminator = (
        network(spec.model, resolution) for network in (Generator, Discriminator)
    )
    latents = torch.randn(PICTURES, spec.model.inputs)
    with torch.no_grad(), FlopCount() as count:
        discriminator(generator(latents))
    counted = count.total / 2
    assert step_cost(spec, PICTURES, on_gpus=False) == pytest.approx(counted, rel=0.02)


# ms a step of 16 images in fp32 on one thread: of the demo's networks (stages/costs/probe.py) and
# of the paper's (README).
@pytest.mark.parametrize(
    ("words", "milliseconds"),
    [
        ((), {4: 15.4, 8: 42.4, 16: 80.8, 32: 126}),
        (
            ("model.latent=512", "model.fmap_base=8192", "model.fmap_max=512"),
            {4: 365, 8: 1616, 16: 6400, 32: 25008},
        ),
    ],
    ids=["narrow", "paper"],
)
def test_proportions_are_those_of_measured_steps(
    words: tuple[str, ...], milliseconds: dict[int, float]
) -> None:
    cost = {r: step_cost(spec, 16, on_gpus=False) for r, spec in specs(*words).items()}
    for resolution, measured in milliseconds.items():
        assert cost[resolution] / cost[4] * milliseconds[4] == pytest.approx(measured, rel=0.2)


def test_small_steps_differ_less_on_a_gpu() -> None:
    first, *_, last = specs().values()
    cost = {gpu: [step_cost(s, 16, on_gpus=gpu) for s in (first, last)] for gpu in (False, True)}
    on_cpu, on_gpu = (late / early for early, late in cost.values())
    assert 1 < on_gpu < on_cpu
