"""DCGAN's networks against the same networks made of torch's own layers."""

from collections.abc import Iterable

import pytest
import torch
from torch import Tensor, nn

from progan.stages.networks.dcgan import Conv4x4
from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.generator import Generator
from progan.stages.networks.norms import BatchNorm
from progan.stages.networks.weights.weighted_layer import layers as layers_of
from progan.stages.specs.model import DiscriminatorSpec, GeneratorSpec, ModelSpec

BATCH, REFERENCE = 6, 5
NORM = {"norm": "batch", "norm_group": BATCH}
MODEL = ModelSpec(
    arch="dcgan",
    latent=7,
    fmap_base=64,
    fmap_max=16,
    generator=GeneratorSpec.model_validate(NORM | {"reference": REFERENCE}),
    discriminator=DiscriminatorSpec.model_validate(NORM | {"minibatch": "none"}),
)
"""At 32x32: 16 maps at 4x4 and 8x8, 8 at 16x16"""


def torch_generator() -> nn.Sequential:
    """The paper's figure 1, of nn.ConvTranspose2d and nn.BatchNorm2d."""
    return nn.Sequential(
        nn.ConvTranspose2d(7, 16, 4, 1, 0, bias=False), nn.BatchNorm2d(16, momentum=1), nn.ReLU(),
        nn.ConvTranspose2d(16, 16, 4, 2, 1, bias=False), nn.BatchNorm2d(16, momentum=1), nn.ReLU(),
        nn.ConvTranspose2d(16, 8, 4, 2, 1, bias=False), nn.BatchNorm2d(8, momentum=1), nn.ReLU(),
        nn.ConvTranspose2d(8, 3, 4, 2, 1), nn.Tanh(),
    ).double()  # fmt: skip


def torch_discriminator() -> nn.Sequential:
    """The mirror image, without a norm in the first layer."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 4, 2, 1), nn.LeakyReLU(0.2),
        nn.Conv2d(8, 16, 4, 2, 1, bias=False), nn.BatchNorm2d(16), nn.LeakyReLU(0.2),
        nn.Conv2d(16, 16, 4, 2, 1, bias=False), nn.BatchNorm2d(16), nn.LeakyReLU(0.2),
        nn.Flatten(), nn.Linear(256, 1), nn.Flatten(0),
    ).double()  # fmt: skip


def weighted(network: nn.Module) -> list[nn.Module]:
    kinds = Conv4x4, BatchNorm, nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.Linear
    return [m for m in network.modules() if isinstance(m, kinds) or hasattr(m, "scale")]


def in_torch_order(module: nn.Module, values: Iterable[tuple[str, Tensor]]) -> dict[str, Tensor]:
    """A layer's tensors by name; channels of a transposed convolution in torch's order."""
    transposed = isinstance(module, Conv4x4) and module.kind != "down"
    return {name: v.transpose(0, 1) if transposed and v.dim() == 4 else v for name, v in values}


def copy_random_weights(network: nn.Module, reference: nn.Module) -> None:
    """Give both networks the same random weights, layer by layer."""
    pairs = list(zip(weighted(network), weighted(reference), strict=True))
    for own, theirs in pairs:
        for parameter in own.parameters():
            nn.init.normal_(parameter, std=0.3)
        theirs.load_state_dict(in_torch_order(own, own.named_parameters()), strict=False)


def assert_same_gradients(network: nn.Module, reference: nn.Module) -> None:
    """The gradient of every weight is the same."""
    for own, theirs in zip(weighted(network), weighted(reference), strict=True):
        found = in_torch_order(
            own, ((n, p.grad) for n, p in own.named_parameters() if p.grad is not None)
        )
        assert found.keys() == dict(theirs.named_parameters()).keys()
        for name, parameter in theirs.named_parameters():
            torch.testing.assert_close(found[name], parameter.grad)


def test_generator_matches_torch_layers_in_training() -> None:
    torch.manual_seed(0)
    generator, reference = Generator(MODEL, 32).double(), torch_generator()
    copy_random_weights(generator, reference)
    latents = torch.randn(BATCH, 7, dtype=torch.float64)
    images, expected = generator(latents), reference(latents[:, :, None, None])
    assert images.shape == (BATCH, 3, 32, 32)
    torch.testing.assert_close(images, expected)
    images.square().sum().backward()
    expected.square().sum().backward()
    assert_same_gradients(generator, reference)


def test_generator_in_evaluation_uses_statistics_of_the_reference_batch() -> None:
    torch.manual_seed(0)
    generator, reference = Generator(MODEL, 32).double().eval(), torch_generator()
    copy_random_weights(generator, reference)
    assert generator.reference is not None
    reference(generator.reference[:, :, None, None])
    for size, norm in zip(
        (4, 8, 16), (m for m in reference if isinstance(m, nn.BatchNorm2d)), strict=True
    ):
        assert norm.running_var is not None
        count = REFERENCE * size**2
        norm.running_var *= (count - 1) / count  # torch's is the unbiased one
    latents = torch.randn(3, 7, dtype=torch.float64)
    torch.testing.assert_close(generator(latents), reference.eval()(latents[:, :, None, None]))


def test_discriminator_matches_torch_layers() -> None:
    torch.manual_seed(0)
    discriminator, reference = Discriminator(MODEL, 32).double(), torch_discriminator()
    copy_random_weights(discriminator, reference)
    images = torch.rand(BATCH, 3, 32, 32, dtype=torch.float64)
    logits, expected = discriminator(images), reference(images)
    torch.testing.assert_close(logits, expected)
    logits.square().sum().backward()
    expected.square().sum().backward()
    assert_same_gradients(discriminator, reference)


def test_weights_have_std_002_and_scale_1() -> None:
    torch.manual_seed(0)
    fields = {"attention": (16,), "minibatch": "discrimination"}
    wide = MODEL.model_copy(
        update={
            "fmap_base": 1024, "fmap_max": 64, "discriminator": DiscriminatorSpec(**fields)
        }
    )  # fmt: skip
    for network in (Generator(wide, 32), Discriminator(wide, 32)):
        layers = list(layers_of(network))
        assert len(layers) > 3 and all(layer.scale == 1 for _, layer in layers)
        values = torch.cat([layer.weight.detach().flatten() for _, layer in layers])
        assert float(values.std()) == pytest.approx(0.02, rel=0.02)
        assert abs(float(values.mean())) < 1e-3
        biases = [p for name, p in network.named_parameters() if name.endswith("bias")]
        assert biases and not any(bias.any() for bias in biases)


@pytest.mark.parametrize("minibatch", ["stddev", "discrimination"])
def test_minibatch_statistics_are_within_groups(minibatch: str) -> None:
    fields = {"minibatch": minibatch, "norm": "layer"}
    changes = {"discriminator": DiscriminatorSpec.model_validate(fields), "stddev_group": 2}
    discriminator = Discriminator(MODEL.model_copy(update=changes), 16).double()
    images = torch.rand(4, 3, 16, 16, dtype=torch.float64)
    before = discriminator(images)
    images[1] += 0.5
    changed = (discriminator(images) - before).abs() > 1e-12
    assert changed.tolist() == [True, True, False, False]
