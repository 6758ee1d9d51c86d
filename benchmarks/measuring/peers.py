"""One training step of other progressive GANs, at the paper's widths and alpha 0.5.

They are imported from checkouts of their repositories: `pytorch_GAN_zoo` (facebookresearch) and
`pro_gan_pytorch` (akanimax) in one folder. Neither runs on today's torch as published; the shims
here change nothing that they compute.
"""

import builtins
import contextlib
import importlib
import io
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

FMAP_BASE, FMAP_MAX, LATENT = 8192, 512, 512
Step = Callable[[Tensor], object]
"""Trains for one step on reals, (N, 3, R, R) in [-1, 1]"""


def pytorch_gan_zoo(resolution: int) -> Step:
    """WGAN-GP, Adam and the moving average, as its `train.py` calls them."""
    model = gan_zoo_networks(LATENT, FMAP_MAX)
    for doublings in range(1, resolution.bit_length() - 2):
        model.addScale(min(FMAP_BASE // 2 ** (doublings + 1), FMAP_MAX))
    if resolution > 4:
        for network in (model.getOriginalG(), model.getOriginalD(), model.getOriginalAvgG()):
            network.setNewAlpha(0.5)
    return lambda reals: model.optimizeParameters(reals)


def pro_gan_pytorch(resolution: int) -> Step:
    """The body of the loop in its `ProGAN.train`."""
    sys.modules.setdefault("torch.utils.tensorboard", _module(SummaryWriter=object))
    builtins.Tuple = tuple  # type: ignore[attr-defined]  # networks.py forgets to import it
    networks: Any = importlib.import_module("pro_gan_pytorch.networks")
    networks.nf = lambda stage, **_: min(FMAP_BASE // 2**stage, FMAP_MAX)
    program = importlib.import_module("pro_gan_pytorch.gan")
    layers = importlib.import_module("pro_gan_pytorch.custom_layers")
    loss = importlib.import_module("pro_gan_pytorch.losses").WganGP()
    depth = resolution.bit_length() - 1
    gan: Any = program.ProGAN(networks.Generator(depth=depth), networks.Discriminator(depth=depth))
    adam: Any = {"lr": 0.001, "betas": (0.0, 0.99)}
    generator_adam = torch.optim.Adam(gan.gen.parameters(), **adam)
    discriminator_adam = torch.optim.Adam(gan.dis.parameters(), **adam)

    def step(reals: Tensor) -> None:
        latents = torch.randn(len(reals), LATENT)
        gan.optimize_discriminator(loss, discriminator_adam, latents, reals, depth, 0.5)
        gan.optimize_generator(loss, generator_adam, latents, reals, depth, 0.5)
        layers.update_average(gan.gen_shadow, gan.gen, beta=0.999)

    return step


def gan_zoo_networks(latent: int, width: int) -> Any:
    """pytorch_GAN_zoo's model at 4x4 as its `train.py` makes it; its checkout is importable."""
    _patch_torch()
    return importlib.import_module("models.progressive_gan").ProgressiveGAN(
        dimLatentVector=latent, depthScale0=width, miniBatchStdDev=True, initBiasToZero=True,
        lossMode="WGANGP", lambdaGP=10.0, epsilonD=0.001, baseLearningRate=0.001, useGPU=False,
        dimOutput=3,
    )  # fmt: skip


PEERS: dict[str, Callable[[int], Step]] = {
    "pytorch_GAN_zoo": pytorch_gan_zoo,
    "pro_gan_pytorch": pro_gan_pytorch,
}


def peers(folder: Path, resolution: int, batch: int) -> dict[str, Callable[[], object]]:
    """A step of each peer that has a checkout in `folder`, on random reals."""
    _patch_torch()
    reals = torch.rand(batch, 3, resolution, resolution) * 2 - 1
    steps: dict[str, Callable[[], object]] = {}
    for name, make in PEERS.items():
        if (folder / name).exists():
            sys.path.insert(0, str(folder / name))
            with contextlib.redirect_stdout(io.StringIO()):
                step = make(resolution)
            steps[name] = lambda step=step: step(reals)  # type: ignore[misc]
    return steps


def _patch_torch() -> None:
    """Today's Adam needs float betas, and a transposed convolution the number of dimensions."""
    adam: Any = torch.optim.Adam
    if not hasattr(adam, "takes_integers"):
        original = adam.__init__

        def init(
            self: Any, parameters: Any, lr: Any = 1e-3, betas: Any = (0.9, 0.999), **rest: Any
        ) -> None:
            original(self, parameters, lr, tuple(map(float, betas)), **rest)

        adam.__init__, adam.takes_integers = init, True
        transposed: Any = torch.nn.modules.conv._ConvTransposeNd
        padding = transposed._output_padding
        transposed._output_padding = (
            lambda self, inputs, size, stride, pad, kernel, dims=2, dilation=None: padding(
                self, inputs, size, stride, pad, kernel, dims, dilation
            )
        )


def _module(**content: object) -> ModuleType:
    module = ModuleType("stand-in")
    module.__dict__.update(content)
    return module
