"""How often, and after which pause, a crashed stage is restarted."""

from progan.stages.storage.stage_folder import StageFolder

FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 300.0


class Restarts:
    """Counts how often a stage has crashed since its last new checkpoint."""

    def __init__(self, folder: StageFolder, limit: int) -> None:
        self._folder = folder
        self._limit = limit
        self._count = 0
        self._last_checkpoint = self._newest()

    def pause(self) -> float | None:
        """Count a crash: seconds to wait before the restart, or None to give up."""
        newest = self._newest()
        if newest != self._last_checkpoint:
            self._count, self._last_checkpoint = 0, newest
        if self._count >= self._limit:
            return None
        self._count += 1
        return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** (self._count - 1))

    def _newest(self) -> str:
        return max((path.name for path in self._folder.checkpoints.glob("[0-9]*")), default="")
