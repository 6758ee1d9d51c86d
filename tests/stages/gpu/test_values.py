"""What a GPU computes is what the CPU computes, and the same at every repetition."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from torch import Tensor

from cases import SHAPE
from objective_of import discriminator_objective, generator_objective
from progan.stages.distributed.world import World
from progan.stages.engine.numerics import set_numerics
from progan.stages.engine.precision import autocast, set_memory_format
from progan.stages.metrics.ms_ssim import ms_ssim
from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.generator import Generator
from progan.stages.specs.model import ModelSpec
from progan.stages.specs.objective import ObjectiveSpec
from progan.stages.specs.stage import EngineSpec
from progan.stages.training.loop import step
from progan.stages.training.stage import build
from workers import spec

pytestmark = [pytest.mark.gpu, pytest.mark.gpu_values]

CPU, GPU = torch.device("cpu"), torch.device("cuda")
MODEL = ModelSpec(latent=64, fmap_base=2048, fmap_max=128)


@pytest.fixture(autouse=True)
def deterministic(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    set_numerics(EngineSpec(deterministic=True))
    yield
    set_numerics(EngineSpec())
    torch.use_deterministic_algorithms(False)


def gradients(device: torch.device, dtype: torch.dtype, engine: EngineSpec) -> Tensor:
    """Of both objectives by the weights of the network that minimises it, at 32x32 in a fade."""
    torch.manual_seed(0)
    generator, discriminator = (
        kind(MODEL, 32, fading=True).to(device, dtype) for kind in (Generator, Discriminator)
    )
    for network in (generator, discriminator):
        set_memory_format(network, engine)
    latents, reals, epsilon = torch.randn(8, 64), torch.rand(8, 3, 32, 32) * 2 - 1, torch.rand(8)
    latents, reals, epsilon = (x.to(device, dtype) for x in (latents, reals, epsilon))
    objective = ObjectiveSpec()
    with autocast(engine, device.type):
        loss = discriminator_objective(
            generator, discriminator, reals, latents, epsilon, 0.5, objective
        ).loss
    found = list(torch.autograd.grad(loss, list(discriminator.parameters())))
    discriminator.requires_grad_(False)
    with autocast(engine, device.type):
        loss = generator_objective(generator, discriminator, latents, 0.5, objective).loss
    found += torch.autograd.grad(loss, list(generator.parameters()))
    return torch.cat([gradient.flatten().double().cpu() for gradient in found])


@pytest.mark.parametrize(("precision", "within"), [("fp32", 1e-3), ("bf16", 0.2), ("fp16", 0.1)])
def test_gradients_are_those_in_float64(precision: str, within: float) -> None:
    exact = gradients(CPU, torch.float64, EngineSpec(precision="fp32"))
    found = gradients(GPU, torch.float32, EngineSpec.model_validate({"precision": precision}))
    assert (found - exact).norm() < within * exact.norm()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_ms_ssim_is_the_cpus(layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    smooth = torch.nn.functional.interpolate(torch.randn(32, 3, 8, 8), size=64, mode="bilinear")
    pictures = (smooth * 40 + 150 + 3 * torch.randn(32, 3, 64, 64)).round().clamp(0, 255)
    there = pictures.to(GPU).contiguous(memory_format=layout)
    expected = ms_ssim(pictures[0::2], pictures[1::2])
    torch.testing.assert_close(ms_ssim(there[0::2], there[1::2]).cpu(), expected)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_ten_steps_give_the_same_bytes(precision: str, shapes: Path, world: World) -> None:
    def digest(checkpointing: int | None) -> str:
        engine = EngineSpec.model_validate(
            {"precision": precision, "activation_checkpointing": checkpointing}
        )
        stage = build(spec(shapes, resolution=16, model=SHAPE, engine=engine), world, None, [])
        with stage.batches:
            for _ in range(10):
                step(stage, dict).read()
                stage.position += stage.spec.images_per_step
            tensors = stage.checkpoint({}).tensors
        found = sha256()
        for part in sorted(tensors):
            for name, tensor in sorted(tensors[part].items()):
                found.update(name.encode() + tensor.contiguous().numpy().tobytes())
        return found.hexdigest()

    assert digest(None) == digest(None) == digest(4)
