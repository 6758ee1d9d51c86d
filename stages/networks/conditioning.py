"""What a generator is told besides its latent: further columns of the same tensor.

So whatever draws pictures, an export above all, takes one tensor of (N, inputs), as the official
code does inside its network: latent, class, codes.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from progan.stages.specs.model import CodesSpec, ModelSpec


def with_conditions(noise: Tensor, labels: Tensor, model: ModelSpec) -> Tensor:
    """What the generator draws from, (N, model.inputs).

    noise: (N, model.noise) from N(0, 1): latents, then one number for each code. labels: (N,); the
    class is told one-hot (Mirza and Osindero 2014, arXiv 1411.1784, section 3.2); without classes
    they say nothing.
    """
    latents, raw = noise[:, : model.latent], noise[:, model.latent :]
    told = [latents]
    if model.classes:
        told.append(F.one_hot(labels, model.classes).to(noise.dtype))
    told += codes(raw, model.generator.codes)
    return torch.cat(told, dim=1) if len(told) > 1 else noise


def codes(raw: Tensor, spec: CodesSpec) -> list[Tensor]:
    """InfoGAN's codes from numbers of N(0, 1), (N, codes), by way of their distribution function.

    Categorical ones are one-hot, each of their values as likely; continuous ones are (N, 1),
    uniform in [-1, 1) (Chen et al. 2016, arXiv 1606.03657, section 7.2).
    """
    shares = torch.special.ndtr(raw.double())
    drawn = []
    for share, size in zip(shares.T, spec.categorical, strict=False):
        value = (share * size).long().clamp(max=size - 1)
        drawn.append(F.one_hot(value, size).to(raw.dtype))
    rest = shares[:, len(spec.categorical) :]
    return [*drawn, (2 * rest - 1).to(raw.dtype)] if spec.continuous else drawn


def cycling_labels(count: int, classes: int) -> Tensor:
    """Labels 0, 1, ..., classes - 1, 0, ... for pictures side by side: (count,)."""
    return torch.arange(count) % max(1, classes)
