"""Parameter counts against the official code, and against the modules."""

import pytest

from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.generator import Generator
from progan.stages.networks.multi_discriminator import make_discriminator
from progan.stages.networks.widths import (
    discriminator_parameters,
    generator_parameters,
    resolutions,
    width,
)
from progan.stages.specs.model import DiscriminatorSpec, GeneratorSpec, ModelSpec

PAPER = ModelSpec()
# Active path at each resolution, G and D, with the paper's widths.
ACTIVE = {
    4: (6_556_163, 6_561_793),
    8: (11_275_779, 11_281_409),
    16: (15_995_395, 16_001_025),
    32: (20_715_011, 20_720_641),
    64: (22_484_227, 22_489_857),
    128: (22_926_467, 22_932_097),
    256: (23_036_995, 23_042_625),
    512: (23_064_611, 23_070_241),
    1024: (23_071_507, 23_077_137),
}


def sizes(network: Generator | Discriminator) -> dict[str, int]:
    return {name: parameter.numel() for name, parameter in network.named_parameters()}


def test_paper_widths() -> None:
    assert [width(PAPER, r) for r in resolutions(1024)] == [512] * 4 + [256, 128, 64, 32, 16]


@pytest.mark.parametrize("resolution", ACTIVE)
def test_active_path_has_the_official_parameter_count(resolution: int) -> None:
    generator = sizes(Generator(PAPER, resolution))
    discriminator = sizes(Discriminator(PAPER, resolution))
    assert (sum(generator.values()), sum(discriminator.values())) == ACTIVE[resolution]


def test_all_stages_have_the_official_total() -> None:
    generator: dict[str, int] = {}
    discriminator: dict[str, int] = {}
    for resolution in resolutions(1024):
        generator |= sizes(Generator(PAPER, resolution))
        discriminator |= sizes(Discriminator(PAPER, resolution))
    assert sum(generator.values()) == 23_079_115
    assert sum(discriminator.values()) == 23_087_249


def test_dcgan_has_the_size_of_pytorchs_example() -> None:
    """PyTorch's example, 64 to 512 maps: 3,576,704 and 2,765,568 parameters, without biases.

    Ours has biases in layers without a norm and in the output.
    """
    norm = {"norm": "batch"}
    fields = {"arch": "dcgan", "latent": 100, "fmap_base": 1024, "generator": norm}
    model = ModelSpec.model_validate(fields | {"discriminator": norm | {"minibatch": "none"}})
    assert generator_parameters(model, 64) == 3_576_704 + 3
    assert discriminator_parameters(model, 64) == 2_765_568 + 64 + 1


@pytest.mark.parametrize("resolution", [8, 64])
@pytest.mark.parametrize("minibatch", ["stddev", "discrimination", "none"])
@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("attention", [(), (32, 8)])
def test_parameter_counts_match_the_dcgan_modules(
    resolution: int, minibatch: str, norm: str, attention: tuple[int, ...]
) -> None:
    options = {"norm": norm, "attention": attention}
    model = ModelSpec(
        arch="dcgan",
        latent=24,
        fmap_base=256,
        fmap_max=40,
        classes=7,
        generator=GeneratorSpec.model_validate(options),
        discriminator=DiscriminatorSpec.model_validate(
            options | {"minibatch": minibatch, "head": "acgan", "critics": 2}
        ),
    )
    assert sum(sizes(Generator(model, resolution)).values()) == generator_parameters(
        model, resolution
    )
    discriminators = make_discriminator(model, resolution)
    counted = discriminator_parameters(model, resolution)
    assert sum(parameter.numel() for parameter in discriminators.parameters()) == counted


@pytest.mark.parametrize("resolution", [8, 64, 256])
@pytest.mark.parametrize("fading", [False, True])
@pytest.mark.parametrize("minibatch", ["stddev", "discrimination", "none"])
@pytest.mark.parametrize("attention", [(), (64, 8)])
@pytest.mark.parametrize(
    ("head", "classes"),
    [("scalar", 0), ("acgan", 7), ("projection", 7), ("infogan", 0), ("autoencoder", 0)],
)
def test_parameter_counts_match_the_modules(
    resolution: int,
    fading: bool,
    minibatch: str,
    attention: tuple[int, ...],
    head: str,
    classes: int,
) -> None:
    discriminator_norm = {"stddev": "none", "discrimination": "batch", "none": "layer"}[minibatch]
    norm = "batch" if minibatch == "none" else "pixel"
    codes = {"categorical": (3, 4), "continuous": 2} if head == "infogan" else {}
    fields = {
        "generator": {"attention": attention, "codes": codes, "norm": norm},
        "discriminator": {
            "attention": attention,
            "minibatch": minibatch,
            "head": head,
            "norm": discriminator_norm,
        },
        "classes": classes,
    }
    model = ModelSpec.model_validate({"latent": 24, "fmap_base": 256, "fmap_max": 40} | fields)
    built = [net(model, resolution, fading=fading) for net in (Generator, Discriminator)]
    counted = [
        generator_parameters(model, resolution, fading=fading),
        discriminator_parameters(model, resolution, fading=fading),
    ]
    assert [sum(sizes(network).values()) for network in built] == counted


@pytest.mark.parametrize("changes", [
    {},
    {"discriminator": {"head": "autoencoder", "minibatch": "none"}},
    {"arch": "dcgan", "generator": {"norm": "batch"}},
])  # fmt: skip
def test_parameter_counts_of_mixtures_match_the_modules(changes: dict[str, object]) -> None:
    model = ModelSpec.model_validate({"latent": 5, "fmap_max": 16, "generators": 3} | changes)
    generator, discriminator = Generator(model, 16), make_discriminator(model, 16)
    assert sum(sizes(generator).values()) == generator_parameters(model, 16)
    own = sum(parameter.numel() for parameter in discriminator.parameters())
    assert own == discriminator_parameters(model, 16)


@pytest.mark.parametrize("arch", ["progressive", "dcgan"])
@pytest.mark.parametrize("channels", [1, 4])
def test_parameter_counts_of_grey_and_alpha(arch: str, channels: int) -> None:
    norm = {"norm": "batch" if arch == "dcgan" else "pixel"}
    head = "scalar" if arch == "dcgan" else "autoencoder"
    model = ModelSpec.model_validate(
        {"arch": arch, "channels": channels, "latent": 24, "fmap_base": 256, "fmap_max": 40}
        | {"generator": norm, "discriminator": {"head": head}}
    )
    built = Generator(model, 32), Discriminator(model, 32)
    counted = generator_parameters(model, 32), discriminator_parameters(model, 32)
    assert tuple(sum(sizes(network).values()) for network in built) == counted
