"""Scalars copied to the host asynchronously: a step does not wait for them, reading them does."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor


class AsyncScalars:
    """Named scalars on their way from the device to the host."""

    def __init__(self, names: Iterable[str], values: Tensor) -> None:
        """values: (names,), which must not change afterwards."""
        self._names = tuple(names)
        self._values = self._on_host = values
        self._copied: torch.cuda.Event | None = None
        if values.is_cuda:
            self._on_host = torch.empty_like(values, device="cpu", pin_memory=True)
            self._on_host.copy_(values, non_blocking=True)
            self._copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._copied.record()

    @property
    def on_device(self) -> dict[str, Tensor]:
        """Each of them, (), to compute with on the device."""
        return dict(zip(self._names, self._values.unbind(), strict=True))

    def read(self) -> dict[str, float]:
        """Each of them as a number; waits until the device has computed them."""
        if self._copied is not None:
            self._copied.synchronize()
        return dict(zip(self._names, self._on_host.tolist(), strict=True))


def stack_scalars(scalars: Mapping[str, Tensor]) -> Tensor:
    """Named scalars in one tensor, (names,), in float64."""
    if not scalars:
        return torch.empty(0, dtype=torch.float64)
    return torch.stack([scalar.double() for scalar in scalars.values()])
