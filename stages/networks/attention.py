"""Self-attention over the positions of a feature map (SAGAN)."""

import torch
from torch import Tensor, nn

from progan.stages.networks.layers import EqualizedConv2d, at_least_float32
from progan.stages.networks.widths import attention_widths


class SelfAttention(nn.Module):
    """x + gate * attention(x), with a learned gate that starts at 0.

    At position j, attention(x) is out(sum_i weight_ij value(x_i)), with weight_ij the softmax over
    i of key(x_i) . query(x_j). Queries and keys have an eighth of the channels, values half.
    Source: Zhang et al. 2019 (arXiv 1805.08318), eqs. 1 to 3. With the gate at 0 a block starts as
    the block without attention.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow, half = attention_widths(channels)
        self.query = EqualizedConv2d(channels, narrow, 1, gain=1.0)
        self.key = EqualizedConv2d(channels, narrow, 1, gain=1.0)
        self.value = EqualizedConv2d(channels, half, 1, gain=1.0)
        self.out = EqualizedConv2d(half, channels, 1, gain=1.0)
        self.gate = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> the same shape. The attention map has N (H W)^2 elements."""
        query, key, value = (proj(x).flatten(2) for proj in (self.query, self.key, self.value))
        scores = at_least_float32(key.transpose(1, 2) @ query)  # (N, from, to)
        attended = value @ scores.softmax(dim=1).to(value.dtype)
        added: Tensor = self.out(attended.unflatten(2, x.shape[2:]))
        return x + self.gate * added
