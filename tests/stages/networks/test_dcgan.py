"""DCGAN's networks against plain ones of torch's own layers, and what is theirs alone."""

from collections.abc import Iterable

import pytest
import torch
from torch import Tensor, nn

from progan.stages.networks import spectral
from progan.stages.networks.dcgan import Conv4x4
from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.generator import Generator
from progan.stages.networks.norms import BatchNorm
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


def plain_generator() -> nn.Sequential:
    """As in the paper's figure 1, of nn.ConvTranspose2d and nn.BatchNorm2d."""
    return nn.Sequential(
        nn.ConvTranspose2d(7, 16, 4, 1, 0, bias=False), nn.BatchNorm2d(16, momentum=1), nn.ReLU(),
        nn.ConvTranspose2d(16, 16, 4, 2, 1, bias=False), nn.BatchNorm2d(16, momentum=1), nn.ReLU(),
        nn.ConvTranspose2d(16, 8, 4, 2, 1, bias=False), nn.BatchNorm2d(8, momentum=1), nn.ReLU(),
        nn.ConvTranspose2d(8, 3, 4, 2, 1), nn.Tanh(),
    ).double()  # fmt: skip


def plain_discriminator() -> nn.Sequential:
    """The same backwards, without a norm in the first layer."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 4, 2, 1), nn.LeakyReLU(0.2),
        nn.Conv2d(8, 16, 4, 2, 1, bias=False), nn.BatchNorm2d(16), nn.LeakyReLU(0.2),
        nn.Conv2d(16, 16, 4, 2, 1, bias=False), nn.BatchNorm2d(16), nn.LeakyReLU(0.2),
        nn.Flatten(), nn.Linear(256, 1), nn.Flatten(0),
    ).double()  # fmt: skip


def weighted(network: nn.Module) -> list[nn.Module]:
    kinds = Conv4x4, BatchNorm, nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.Linear
    return [m for m in network.modules() if isinstance(m, kinds) or hasattr(m, "scale")]


def of(module: nn.Module, values: Iterable[tuple[str, Tensor]]) -> dict[str, Tensor]:
    """A layer's tensors by name, in torch's order of a transposed convolution's channels."""
    turns = isinstance(module, Conv4x4) and module.kind != "down"
    return {name: v.transpose(0, 1) if turns and v.dim() == 4 else v for name, v in values}


def copied(network: nn.Module, plain: nn.Module) -> None:
    """Give the plain network the other's weights, layer by layer, after making them all differ."""
    pairs = list(zip(weighted(network), weighted(plain), strict=True))
    for own, theirs in pairs:
        for parameter in own.parameters():
            nn.init.normal_(parameter, std=0.3)
        theirs.load_state_dict(of(own, own.named_parameters()), strict=False)


def assert_alike(network: nn.Module, plain: nn.Module) -> None:
    """The same gradient of every weight."""
    for own, theirs in zip(weighted(network), weighted(plain), strict=True):
        found = of(own, ((n, p.grad) for n, p in own.named_parameters() if p.grad is not None))
        assert found.keys() == dict(theirs.named_parameters()).keys()
        for name, parameter in theirs.named_parameters():
            torch.testing.assert_close(found[name], parameter.grad)


def test_the_generator_is_the_plain_one_while_training() -> None:
    torch.manual_seed(0)
    generator, plain = Generator(MODEL, 32).double(), plain_generator()
    copied(generator, plain)
    latents = torch.randn(BATCH, 7, dtype=torch.float64)
    images, expected = generator(latents), plain(latents[:, :, None, None])
    assert images.shape == (BATCH, 3, 32, 32)
    torch.testing.assert_close(images, expected)
    images.square().sum().backward()
    expected.square().sum().backward()
    assert_alike(generator, plain)


def test_it_draws_as_the_plain_one_with_the_statistics_of_the_reference_batch() -> None:
    torch.manual_seed(0)
    generator, plain = Generator(MODEL, 32).double().eval(), plain_generator()
    copied(generator, plain)
    assert generator.reference is not None
    plain(generator.reference[:, :, None, None])
    for size, norm in zip(
        (4, 8, 16), (m for m in plain if isinstance(m, nn.BatchNorm2d)), strict=True
    ):
        assert norm.running_var is not None
        count = REFERENCE * size**2
        norm.running_var *= (count - 1) / count  # torch keeps the unbiased one
    latents = torch.randn(3, 7, dtype=torch.float64)
    torch.testing.assert_close(generator(latents), plain.eval()(latents[:, :, None, None]))


def test_the_discriminator_is_the_plain_one() -> None:
    torch.manual_seed(0)
    discriminator, plain = Discriminator(MODEL, 32).double(), plain_discriminator()
    copied(discriminator, plain)
    images = torch.rand(BATCH, 3, 32, 32, dtype=torch.float64)
    logits, expected = discriminator(images), plain(images)
    torch.testing.assert_close(logits, expected)
    logits.square().sum().backward()
    expected.square().sum().backward()
    assert_alike(discriminator, plain)


def test_weights_are_drawn_small_and_used_as_they_are() -> None:
    torch.manual_seed(0)
    fields = {"attention": (16,), "minibatch": "discrimination"}
    wide = MODEL.model_copy(
        update={
            "fmap_base": 1024, "fmap_max": 64, "discriminator": DiscriminatorSpec(**fields)
        }
    )  # fmt: skip
    for network in (Generator(wide, 32), Discriminator(wide, 32)):
        layers = list(spectral.layers(network))
        assert len(layers) > 3 and all(layer.scale == 1 for _, layer in layers)
        values = torch.cat([layer.weight.detach().flatten() for _, layer in layers])
        assert float(values.std()) == pytest.approx(0.02, rel=0.02)
        assert abs(float(values.mean())) < 1e-3
        biases = [p for name, p in network.named_parameters() if name.endswith("bias")]
        assert biases and not any(bias.any() for bias in biases)


@pytest.mark.parametrize("minibatch", ["stddev", "discrimination"])
def test_samples_of_a_group_are_compared_if_that_is_asked(minibatch: str) -> None:
    fields = {"minibatch": minibatch, "norm": "layer"}
    changes = {"discriminator": DiscriminatorSpec.model_validate(fields), "stddev_group": 2}
    discriminator = Discriminator(MODEL.model_copy(update=changes), 16).double()
    images = torch.rand(4, 3, 16, 16, dtype=torch.float64)
    before = discriminator(images)
    images[1] += 0.5
    changed = (discriminator(images) - before).abs() > 1e-12
    assert changed.tolist() == [True, True, False, False]
