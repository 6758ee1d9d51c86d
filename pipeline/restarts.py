"""When to start a stage again whose processes died; no torch."""

from progan.stages.folder import StageFolder

FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 300.0


class Restarts:
    """Counts how often a stage died without having come any further than the time before."""

    def __init__(self, folder: StageFolder, most: int) -> None:
        self._folder = folder
        self._most = most
        self._count = 0
        self._last_checkpoint = self._newest()

    def pause(self) -> float | None:
        """It died: seconds to wait before the next start, or None if there should be none."""
        newest = self._newest()
        if newest != self._last_checkpoint:
            self._count, self._last_checkpoint = 0, newest
        if self._count >= self._most:
            return None
        self._count += 1
        return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** (self._count - 1))

    def _newest(self) -> str:
        return max((path.name for path in self._folder.checkpoints.glob("[0-9]*")), default="")
