"""Dynamic loss scaling, which keeps the small gradients of fp16 from underflowing.

Source: Micikevicius et al. 2018 (arXiv 1710.03740), section 3.2; the constants are those
of torch.amp.GradScaler, which cannot be used here: it does not support sharded gradients.
"""

import torch
from torch import Tensor

FIRST, LEAST = 2.0**16, 1.0
STEPS_TO_DOUBLE = 2000


class LossScale:
    """A factor for the loss: halved when gradients overflow, doubled after 2000 steps without."""

    def __init__(self) -> None:
        self.factor = FIRST
        """A power of two, so that it costs no precision."""
        self._good_steps = 0

    @property
    def can_shrink(self) -> bool:
        """False when an overflow cannot come from the scale any more."""
        return self.factor > LEAST

    def update(self, overflow: bool) -> None:
        """Adjust the factor after a step."""
        self._good_steps = 0 if overflow else self._good_steps + 1
        if overflow:
            self.factor = max(LEAST, self.factor / 2)
        elif self._good_steps == STEPS_TO_DOUBLE:
            self.factor, self._good_steps = self.factor * 2, 0

    def state(self) -> Tensor:
        """Factor and steps since it changed, for a checkpoint: (2,), float64."""
        return torch.tensor([self.factor, self._good_steps], dtype=torch.float64)

    def load(self, state: Tensor) -> None:
        """Restore what `state` gave."""
        self.factor, self._good_steps = float(state[0]), int(state[1])
