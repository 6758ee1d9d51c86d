"""Fetches from `checkpoint.mirror` what a run's folder lacks, before the run goes on; no torch.

A machine with an empty folder gets the run whole: every stage's networks and its newest complete
checkpoint. Nothing is trusted before its checksums were verified.
"""

import logging
import os
import shutil
from collections.abc import Callable, Collection, Sequence
from pathlib import Path, PurePosixPath

from progan.datasets.files import sync
from progan.datasets.format.objects.store import ObjectStore, StoreError
from progan.pipeline.config.secrets import has_credentials
from progan.pipeline.config.texts import CREDENTIALS
from progan.pipeline.errors import ConfigError, RunError
from progan.pipeline.run.mirror.contents import (
    Sealed,
    checkpoint_of,
    checkpoints_among,
    final_of,
    logs,
    name_of,
    stages_of,
    store_of,
    whole_lines,
)
from progan.pipeline.run_folder import RunFolder, existing_run, frozen_config
from progan.stages.errors import StageError
from progan.stages.storage.sealed_folder import unseal
from progan.stages.storage.stage_folder import StageFolder

log = logging.getLogger(__name__)
REOPENED = b'"stage_reopened"'


def fetch(run: RunFolder, mirror: str | None, note: Callable[[str], None]) -> None:
    """Fetch what a run's folder lacks of the copy below `mirror`, if there is one.

    `note` is called with a line about what was fetched. A storage that cannot be read is a warning
    if the folder holds the run, and otherwise a RunError: a second run would begin unnoticed.
    ConfigError if the copy is of another run, or was continued by another machine.
    """
    if mirror is None:
        return
    try:
        store = store_of(mirror, run)
        events = whole_lines(store.read(name_of(run, run.events)) or b"")
        own = whole_lines(run.events.read_bytes()) if run.events.is_file() else b""
        _require_same(run, store, own, events)
        if not events or REOPENED in own[len(events) :]:
            return
        names = store.sizes()
        run.path.mkdir(parents=True, exist_ok=True)
        with run.lock():
            _Fetcher(run, store, names, is_newer=len(events) > len(own)).fetch(note)
    except StoreError as error:
        if run.config.is_file():
            log.warning("checkpoint.mirror: %s; the run goes on as this folder has it", error)
            return
        raise RunError(
            f"checkpoint.mirror: {error}. The run may have begun there, so that no new one begins "
            "here; to begin one without a copy: checkpoint.mirror=null"
        ) from error


def run_to_resume(path: Path, overrides: Sequence[str], note: Callable[[str], None]) -> RunFolder:
    """The run at a path, after what it lacks was fetched from its mirror, which
    checkpoint.mirror=URL among the KEY=VALUE words names, or its configuration.

    ConfigError if there is no run; see `fetch` for other errors.
    """
    run = RunFolder(path.absolute())
    named = [word.partition("=")[2] for word in overrides if word.startswith("checkpoint.mirror=")]
    if named:
        if has_credentials(named[-1]):
            raise ConfigError(f"checkpoint.mirror: {CREDENTIALS}")
        fetch(run, named[-1] if "://" in named[-1] else None, note)
    elif run.config.is_file():
        fetch(run, frozen_config(run).checkpoint.mirror, note)
    return existing_run(path)


def _require_same(run: RunFolder, store: ObjectStore, own: bytes, there: bytes) -> None:
    """ConfigError unless one log of events begins with the other."""
    if own.startswith(there) or there.startswith(own):
        return
    raise ConfigError(
        f"checkpoint.mirror: {store.url} holds another run, or this one as another machine has "
        f"continued it. To go on from there: --run with a new folder named {run.name}; to go on "
        "from here: another checkpoint.mirror, or remove that copy"
    )


class _Fetcher:
    """Fetches one run; the caller holds its lock. Interrupted, it goes on when called again."""

    def __init__(
        self, run: RunFolder, store: ObjectStore, names: Collection[str], *, is_newer: bool
    ) -> None:
        self._run = run
        self._store = store
        self._names = names
        self._is_newer = is_newer

    def fetch(self, note: Callable[[str], None]) -> None:
        """Fetch stages, then the configuration and the events, which make the folder a run's."""
        found = [what for stage in stages_of(self._run) for what in self._fetch_stage(stage)]
        for file in (self._run.tracking, self._run.config, self._run.events):
            if self._is_newer or not file.exists():
                self._fetch_file(file)
        if found:
            note(f"fetched from {self._store.url}: {', '.join(found)}")

    def _fetch_stage(self, stage: StageFolder) -> list[str]:
        """Fetch what a stage lacks; what that was, in words."""
        of_stage = {n for n in self._names if n.startswith(f"{name_of(self._run, stage.path)}/")}
        if name_of(self._run, stage.spec) not in of_stage:
            return []
        if self._is_newer or not stage.spec.exists():  # first: it makes the folder that of a run
            self._fetch_file(stage.spec)
        found = []
        size = f"{int(stage.path.name)}x{int(stage.path.name)}"
        if not stage.final.exists() and self._fetch_sealed(final_of(stage)):
            found.append(f"{size} finished")
        counts = checkpoints_among(self._run, stage, of_stage)
        for count in sorted((n for n, is_whole in counts.items() if is_whole), reverse=True):
            if count <= stage.newest_checkpoint:
                break
            if self._fetch_sealed(checkpoint_of(stage, count)):
                found.append(f"{size} after {count:,} images")
                break
        pictures = {n for n in of_stage if n.startswith(f"{name_of(self._run, stage.samples)}/")}
        files = [*logs(stage), *(stage.samples / PurePosixPath(n).name for n in sorted(pictures))]
        for file in files:
            if found or self._is_newer or not file.exists():
                self._fetch_file(file)
        return found

    def _fetch_file(self, file: Path) -> None:
        if (name := name_of(self._run, file)) in self._names:
            self._store.download(name, file)

    def _fetch_sealed(self, sealed: Sealed) -> bool:
        """Fetch a checkpoint or networks; whether they are there, complete and undamaged."""
        folder, document = sealed
        above = f"{name_of(self._run, folder)}/"
        if above + document not in self._names:
            return False
        temporary = folder.with_name(f".{folder.name}.tmp")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        try:
            for name in self._names:
                file = name.removeprefix(above)
                if name.startswith(above) and "/" not in file:
                    self._store.download(name, temporary / file)
            unseal(temporary, document)
            os.replace(temporary, folder)
            sync(folder.parent)
        except StageError as error:
            text = str(error).replace(str(temporary), f"{self._store.url}/{above.rstrip('/')}")
            log.warning("checkpoint.mirror: %s; using what was before it", text)
            return False
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return True
