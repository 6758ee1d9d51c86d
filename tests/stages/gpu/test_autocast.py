"""Autocast lists other operations on CUDA than on the CPU: our modules give the same types."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cases import CASES, MIXTURES, MODELS, SHAPE
from progan.stages.engine.precision import autocast, set_memory_format
from progan.stages.networks.generator import Generator
from progan.stages.networks.multi_discriminator import make_discriminator
from progan.stages.specs.model import ModelSpec
from progan.stages.specs.stage import EngineSpec

pytestmark = pytest.mark.gpu

VARIANTS = {name: model for name, (_, model) in (CASES | MIXTURES | MODELS).items() if model}


def output_types(model: ModelSpec, device: str, precision: str) -> dict[str, torch.dtype]:
    """The type of every module's output, in a fading pass of both networks."""
    found: dict[str, torch.dtype] = {}
    engine = EngineSpec.model_validate({"precision": precision})
    fading = model.arch != "dcgan"
    networks = {
        "generator": Generator(model, 16, fading=fading),
        "discriminator": make_discriminator(model, 16, fading=fading),
    }
    for part, network in networks.items():
        set_memory_format(network.to(device), engine)
        for name, module in network.named_modules():
            module.register_forward_hook(remember(found, f"{part} {name} {type(module).__name__}"))
    latents = torch.randn(8, model.inputs, device=device)
    alpha = 0.5 if fading else 1.0
    with autocast(engine, device):
        images = networks["generator"](latents, alpha)
        copies = torch.cat([images] * model.discriminator.critics)
        conditioning = torch.cat([latents[:, model.latent :]] * model.discriminator.critics)
        logits = networks["discriminator"](copies, alpha, conditioning)
    found |= {"images": images.dtype, "logits": logits.dtype}
    return found


def remember(found: dict[str, torch.dtype], name: str) -> Any:
    """A hook that notes the type of a module's output."""

    def hook(module: nn.Module, inputs: object, output: object) -> None:
        if isinstance(output, Tensor):
            found[name] = output.dtype

    return hook


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("name", ["paper", *VARIANTS])
def test_outputs_have_the_cpus_types(name: str, precision: str) -> None:
    model = ModelSpec.model_validate(SHAPE | VARIANTS.get(name, {}))
    assert output_types(model, "cuda", precision) == output_types(model, "cpu", precision)
