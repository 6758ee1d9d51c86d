"""Latents to draw from: by seed, truncated, and interpolated."""

import math

import torch
from torch import Tensor

from progan.stages.rng import grid_latents

NEARLY_PARALLEL = 1e-6


def seed_latents(seeds: list[int], size: int) -> Tensor:
    """An N(0, 1) latent for each seed, independent of the others: (len(seeds), size), float32."""
    return torch.cat([grid_latents(seed, 1, size) for seed in seeds])


def truncate(latents: Tensor, psi: float) -> Tensor:
    """Map N(0, 1) values monotonically to N(0, 1) truncated to [-psi, psi].

    The truncation trick of Marchesi (2017, "Megapixel Size Image Creation using Generative
    Adversarial Networks") and BigGAN (Brock et al., ICLR 2019, section 3.1), who redraw a value
    until it lies within the bounds. Here the same distribution is sampled by inversion (Devroye
    1986, "Non-Uniform Random Variate Generation", II.2): F^-1(F(-psi) + u (F(psi) - F(-psi))) with
    u = F(z) and F the distribution function of N(0, 1). So a seed's picture changes continuously
    with psi, and for a large psi is the untruncated one.

    Scaling latents towards their mean, as StyleGAN scales towards the mean of its mapping network's
    outputs, has no effect here: the generator normalises latents, so that psi z and z give the same
    picture.
    """
    values = latents.double()
    below = torch.special.ndtr(torch.tensor(-psi, dtype=torch.float64))
    quantiles = below + torch.special.ndtr(values) * (1 - 2 * below)
    truncated: Tensor = torch.special.ndtri(quantiles).clamp(-psi, psi).to(latents.dtype)
    return truncated


def slerp(begin: Tensor, end: Tensor, t: Tensor) -> Tensor:
    """Spherical linear interpolation, along the great circle at constant speed.

    (sin((1 - t) w) a + sin(t w) b) / sin w with w the angle between a and b (Shoemake, SIGGRAPH
    1985, section 3.3; for latents: White 2016, "Sampling Generative Networks", section 2.1).

    begin, end: (N, size), with equal norms. t: (N,), from 0 to 1. Nearly parallel vectors, for
    which sin w vanishes, are interpolated linearly.
    """
    t = t[:, None].double()
    a, b = begin.double(), end.double()
    cosine = (a * b).sum(1, keepdim=True) / (a.norm(dim=1) * b.norm(dim=1))[:, None]
    angle = torch.acos(cosine.clamp(-1, 1))
    sine = torch.sin(angle)
    on_sphere = (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / sine
    return torch.where(sine < NEARLY_PARALLEL, torch.lerp(a, b, t), on_sphere).to(begin.dtype)


def loop(inputs: Tensor, size: int, frames: int) -> Tensor:
    """A closed loop through all of a generator's inputs; the last frame precedes the first.

    inputs: (K, size + classes): latents, projected onto the sphere of radius sqrt(size), and
    one-hot classes, interpolated linearly. Returns (frames, size + classes).
    """
    latents, conditions = inputs[:, :size], inputs[:, size:]
    points = latents * (math.sqrt(size) / latents.norm(dim=1, keepdim=True))
    positions = torch.arange(frames, dtype=torch.float64) * len(points) / frames
    begin = positions.long()
    end, t = (begin + 1) % len(points), positions - begin
    mixed = torch.lerp(conditions[begin], conditions[end], t[:, None].to(conditions.dtype))
    return torch.cat([slerp(points[begin], points[end], t), mixed], dim=1)
