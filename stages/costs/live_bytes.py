"""Counts the bytes of live tensors, and what they were for at the peak."""

import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

REST = "activations"
HOST = "host"
CONVOLUTIONS = (torch.ops.aten.convolution.default, torch.ops.aten.convolution_backward.default)


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While active, adds up the storages that operations make, for as long as they live.

    It sees every operation of torch, those of autograd among them, but not the memory that a kernel
    allocates and frees within one (workspaces). Fake tensors count as many bytes as real ones.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now: Counter[str] = Counter()
        """Bytes alive, by what they are for"""
        self.at_peak: Counter[str] = Counter()
        """What `now` was when its total was highest"""
        self._kind = REST
        self._kinds: dict[int, str] = {}

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run an operation and count what it made."""
        result = func(*args, **(kwargs or {}))
        for made in tree_iter(result):
            if isinstance(made, Tensor):
                self._count(made.untyped_storage())
        if func in CONVOLUTIONS:
            self._remember(copied=sum(map(size_if_copied, tree_iter(args))))
        return result

    @contextmanager
    def making(self, kind: str) -> Iterator[None]:
        """Count what is made within as being for `kind`."""
        outer, self._kind = self._kind, kind
        try:
            yield
        finally:
            self._kind = outer

    def on_host(self) -> AbstractContextManager[None]:
        """Leave out what is made within: it lies in the host's memory."""
        return self.making(HOST)

    def is_on_host(self, tensor: Tensor) -> bool:
        """Whether it was made `on_host`."""
        return self._kinds.get(tensor.untyped_storage()._cdata) == HOST

    def recount(self, tensor: Tensor, kind: str) -> None:
        """Count a tensor's storage as being for `kind` from now on."""
        storage = tensor.untyped_storage()
        self.now[self._kinds[storage._cdata]] -= storage.nbytes()
        self.now[kind] += storage.nbytes()
        self._kinds[storage._cdata] = kind

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._kinds:
            return
        if self._kind == HOST:
            size = 0
        self._kinds[key] = self._kind
        self.now[self._kind] += size
        weakref.finalize(storage, self._forget, key, size)
        self._remember()

    def _remember(self, copied: int = 0) -> None:
        if self.now.total() + copied > self.at_peak.total():
            self.at_peak = self.now.copy()
            self.at_peak[REST] += copied

    def _forget(self, key: int, size: int) -> None:
        self.now[self._kinds.pop(key)] -= size


def size_if_copied(argument: Any) -> int:
    """Bytes of the copy that a convolution makes of an argument that is not contiguous."""
    if isinstance(argument, Tensor) and not argument.is_contiguous():
        return argument.numel() * argument.element_size()
    return 0
