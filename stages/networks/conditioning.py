"""Conditioning of the generator: class, codes and which generator, as columns of its input.

The generator takes one tensor, (N, inputs): latent, one-hot class, codes, as the official code
concatenates them inside its network, and of a mixture of generators the one-hot index of the one
that draws. Samplers and exports need no second input.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from progan.stages.specs.model import CodesSpec, ModelSpec


def with_conditions(noise: Tensor, labels: Tensor, model: ModelSpec) -> Tensor:
    """The generator's input: latents followed by the conditioning, (N, model.inputs).

    noise: (N, model.noise) from N(0, 1): a latent, then one number per code, then one for the index
    of the generator, uniform. labels: (N,), encoded one-hot (Mirza and Osindero 2014, arXiv
    1411.1784, section 3.2); ignored without classes.
    """
    borders = model.latent, model.latent + model.generator.codes.count
    latents, code_noise, index_noise = torch.tensor_split(noise, borders, dim=1)
    columns = [latents]
    if model.classes:
        columns.append(F.one_hot(labels, model.classes).to(noise.dtype))
    columns += codes(code_noise, model.generator.codes)
    if model.indices:
        columns += codes(index_noise, CodesSpec(categorical=(model.indices,)))
    return torch.cat(columns, dim=1) if len(columns) > 1 else noise


def for_first_layer(inputs: Tensor, model: ModelSpec) -> Tensor:
    """What the first layer multiplies: (N, model.inputs) -> (N, model.first_inputs).

    In a mixture of generators, its weight holds the generators' own, one after the other, and the
    columns of all but the one that draws are 0. The result is as if there were that one's columns
    alone: pixel norm and the equalised learning rate's scale each have a factor of
    sqrt(generators), and these cancel out. Source: Hoang et al. 2018 (ICLR, "MGAN"), section 3.2:
    generators share the parameters of all layers but the first.
    """
    if not model.indices:
        return inputs
    own, index = inputs[:, : -model.indices], inputs[:, -model.indices :]
    return (index[:, :, None] * own[:, None]).flatten(1)


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
