"""Latents to draw from: named by seeds, truncated, and on the way from one to another."""

import math

import torch
from torch import Tensor

from progan.stages.rng import grid_latents

NEARLY_PARALLEL = 1e-6


def seed_latents(seeds: list[int], size: int) -> Tensor:
    """One N(0, 1) latent for each seed, whatever the others are: (len(seeds), size), float32."""
    return torch.cat([grid_latents(seed, 1, size) for seed in seeds])


def truncate(latents: Tensor, psi: float) -> Tensor:
    """N(0, 1) values -> N(0, 1) cut off at -psi and psi, each moved as little as keeps their order.

    The truncation trick of Marchesi (2017, "Megapixel Size Image Creation using Generative
    Adversarial Networks") and BigGAN (Brock et al., ICLR 2019, section 3.1), who draw a value again
    until it lies within. Here the same distribution comes from inverting its distribution function
    (Devroye 1986, "Non-Uniform Random Variate Generation", II.2): F^-1(F(-psi) + u (F(psi) -
    F(-psi))) with u = F(z) and F that of N(0, 1). So a seed's picture changes steadily with psi and
    is the untruncated one for a large psi.

    Scaling latents towards their mean, as StyleGAN scales towards the mean of its mapping network's
    outputs, does nothing here: the generator normalises latents, so that psi z and z give the same
    picture.
    """
    values = latents.double()
    below = torch.special.ndtr(torch.tensor(-psi, dtype=torch.float64))
    shares = below + torch.special.ndtr(values) * (1 - 2 * below)
    truncated: Tensor = torch.special.ndtri(shares).clamp(-psi, psi).to(latents.dtype)
    return truncated


def slerp(begin: Tensor, end: Tensor, share: Tensor) -> Tensor:
    """Spherical linear interpolation, along the great circle at constant speed.

    (sin((1 - t) w) a + sin(t w) b) / sin w with w the angle between a and b (Shoemake, SIGGRAPH
    1985, section 3.3; for latents: White 2016, "Sampling Generative Networks", section 2.1).

    begin, end: (N, size), of one length each. share: (N,), t from 0 to 1. Nearly parallel ones,
    whose sin w says nothing, are interpolated linearly.
    """
    t = share[:, None].double()
    a, b = begin.double(), end.double()
    cosine = (a * b).sum(1, keepdim=True) / (a.norm(dim=1) * b.norm(dim=1))[:, None]
    angle = torch.acos(cosine.clamp(-1, 1))
    sine = torch.sin(angle)
    on_sphere = (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / sine
    return torch.where(sine < NEARLY_PARALLEL, torch.lerp(a, b, t), on_sphere).to(begin.dtype)


def loop(inputs: Tensor, size: int, frames: int) -> Tensor:
    """A walk through all of a generator's inputs and back to the first, short of which it ends.

    inputs: (K, size + classes): latents of `size`, laid on the sphere of radius sqrt(size), where
    the generator takes them, and their classes, one-hot, mixed linearly on the way.
    Returns (frames, size + classes).
    """
    latents, conditions = inputs[:, :size], inputs[:, size:]
    points = latents * (math.sqrt(size) / latents.norm(dim=1, keepdim=True))
    way = torch.arange(frames, dtype=torch.float64) * len(points) / frames
    begin = way.long()
    end, share = (begin + 1) % len(points), way - begin
    mixed = torch.lerp(conditions[begin], conditions[end], share[:, None].to(conditions.dtype))
    return torch.cat([slerp(points[begin], points[end], share), mixed], dim=1)
