"""Conditioning of the generator: class and codes as further columns of its input.

The generator takes one tensor, (N, inputs): latent, one-hot class, codes, as the official code
concatenates them inside its network. Samplers and exports need no second input.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from progan.stages.specs.model import CodesSpec, ModelSpec


def with_conditions(noise: Tensor, labels: Tensor, model: ModelSpec) -> Tensor:
    """The generator's input: latents followed by the conditioning, (N, model.inputs).

    noise: (N, model.noise) from N(0, 1): a latent, then one number per code. labels: (N,), encoded
    one-hot (Mirza and Osindero 2014, arXiv 1411.1784, section 3.2); ignored without classes.
    """
    latents, code_noise = noise[:, : model.latent], noise[:, model.latent :]
    columns = [latents]
    if model.classes:
        columns.append(F.one_hot(labels, model.classes).to(noise.dtype))
    columns += codes(code_noise, model.generator.codes)
    return torch.cat(columns, dim=1) if len(columns) > 1 else noise


def codes(noise: Tensor, spec: CodesSpec) -> list[Tensor]:
    """InfoGAN's codes from noise of N(0, 1), (N, codes), by its distribution function.

    Categorical codes are one-hot and uniform over their values; continuous ones are (N, 1), uniform
    in [-1, 1) (Chen et al. 2016, arXiv 1606.03657, section 7.2).
    """
    uniform = torch.special.ndtr(noise.double())
    found = []
    for u, size in zip(uniform.T, spec.categorical, strict=False):
        value = (u * size).long().clamp(max=size - 1)
        found.append(F.one_hot(value, size).to(noise.dtype))
    continuous = uniform[:, len(spec.categorical) :]
    return [*found, (2 * continuous - 1).to(noise.dtype)] if spec.continuous else found


def cycling_labels(count: int, classes: int) -> Tensor:
    """Labels 0, 1, ..., classes - 1, 0, ...: (count,); zeros without classes."""
    return torch.arange(count) % max(1, classes)
