"""Copies of batches to a GPU, ahead of the step that needs them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

from progan.datasets.reals import Reals


class DeviceCopies:
    """Copies batches as soon as they are read, on a stream and by a thread of their own."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="progan-copies")

    def start(self, read: Callable[[], Reals]) -> Callable[[], Reals]:
        """Copy the batch that `read` waits for; the result waits until its copy is queued.

        The stream that is current when the result is called waits for the copy itself.
        """
        future = self._thread.submit(self._copy, read)
        return lambda: self._hand_over(*future.result())

    def close(self) -> None:
        """Stop the thread."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _copy(self, read: Callable[[], Reals]) -> tuple[Reals, torch.cuda.Event]:
        reals = read()
        with torch.cuda.stream(self._stream):
            return reals.to(self._device), self._stream.record_event()

    def _hand_over(self, reals: Reals, copied: torch.cuda.Event) -> Reals:
        """Let the current stream use what the other has written."""
        stream = torch.cuda.current_stream(self._device)
        stream.wait_event(copied)
        for tensor in (reals.pixels, reals.flips):
            # The memory is the other stream's: it must not be reused before this one is done.
            tensor.record_stream(stream)
        return reals
