"""Scalars that a device has yet to compute: no step waits for them, reading them does."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor


class AsyncScalars:
    """Named scalars on their way from the device to the host."""

    def __init__(self, names: Iterable[str], values: Tensor) -> None:
        """values: (names,), which nobody changes any more."""
        self._names = tuple(names)
        self._values = self._arriving = values
        self._arrived: torch.cuda.Event | None = None
        if values.is_cuda:
            self._arriving = torch.empty_like(values, device="cpu", pin_memory=True)
            self._arriving.copy_(values, non_blocking=True)
            self._arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._arrived.record()

    @property
    def on_device(self) -> dict[str, Tensor]:
        """Each of them, (), for what goes on to be computed there."""
        return dict(zip(self._names, self._values.unbind(), strict=True))

    def read(self) -> dict[str, float]:
        """Each of them as a number; waits until the device has got there."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return dict(zip(self._names, self._arriving.tolist(), strict=True))


def stack_scalars(scalars: Mapping[str, Tensor]) -> Tensor:
    """Named scalars in one tensor, (names,), in float64."""
    if not scalars:
        return torch.empty(0, dtype=torch.float64)
    return torch.stack([scalar.double() for scalar in scalars.values()])
