"""Dynamic loss scaling, which keeps the small gradients of fp16 from vanishing.

Source: Micikevicius et al. 2018 (arXiv 1710.03740), section 3.2; the figures are those of
torch.amp.GradScaler, which cannot be used here: it knows no sharded gradients.
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
        self._quiet_steps = 0

    @property
    def can_shrink(self) -> bool:
        """False when an overflow cannot come from the scale any more."""
        return self.factor > LEAST

    def update(self, overflow: bool) -> None:
        """Take note of a step."""
        self._quiet_steps = 0 if overflow else self._quiet_steps + 1
        if overflow:
            self.factor = max(LEAST, self.factor / 2)
        elif self._quiet_steps == STEPS_TO_DOUBLE:
            self.factor, self._quiet_steps = self.factor * 2, 0

    def state(self) -> Tensor:
        """All there is to remember, for a checkpoint: (2,), float64."""
        return torch.tensor([self.factor, self._quiet_steps], dtype=torch.float64)

    def load(self, state: Tensor) -> None:
        """Go on from what `state` gave."""
        self.factor, self._quiet_steps = float(state[0]), int(state[1])
