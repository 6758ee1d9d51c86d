"""Single precision without TF32, which is torch's default for convolutions on a GPU."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

BACKENDS: Any = torch.backends
OPERATORS = BACKENDS.cudnn.conv, BACKENDS.cuda.matmul
"""What metrics use. While they are set, torch refuses to read the older `cudnn.allow_tf32`"""


@contextmanager
def full_float32() -> Iterator[None]:
    """Compute float32 with all its 24 bits. TF32 has 11: MS-SSIM subtracts close numbers."""
    before = [operator.fp32_precision for operator in OPERATORS]
    try:
        for operator in OPERATORS:
            operator.fp32_precision = "ieee"
        yield
    finally:
        for operator, precision in zip(OPERATORS, before, strict=True):
            operator.fp32_precision = precision
