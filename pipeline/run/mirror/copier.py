"""Makes the copy of a run at `checkpoint.mirror` equal to its folder, one pass after another."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from progan.datasets.format.objects.store import ObjectStore, StoreError
from progan.pipeline.errors import RunError
from progan.pipeline.run.mirror.contents import (
    DOCUMENTS,
    Sealed,
    checkpoints_among,
    name_of,
    public_config,
    sealed_folders,
    small_files,
    stages_of,
    whole_lines,
)
from progan.pipeline.run_folder import RunFolder
from progan.stages.specs.stage import CheckpointSpec
from progan.stages.storage.stage_folder import StageFolder

Signature = tuple[int, int]
"""Time of the last change, and bytes"""


class AnotherRunError(RunError):
    """What is copied there is not this run, or was continued by another machine."""


class Copier:
    """Copies what is new; the run's folder is only read, while others write to it."""

    def __init__(self, run: RunFolder, store: ObjectStore, spec: CheckpointSpec) -> None:
        self._run = run
        self._store = store
        self._spec = spec
        self._there: dict[str, int] | None = None
        self._sent: dict[str, Signature] = {}
        self._sealed: dict[str, Signature] = {}
        """Documents that are there with the same content"""

    def forget(self) -> None:
        """After a failure: the next pass looks again what is there."""
        self._there = None

    @property
    def is_behind(self) -> bool:
        """Whether the run's folder has changed since the last pass; asks the disk only."""
        if self._there is None:
            return True
        files = [self._run.config, *small_files(self._run)]
        return any(self._sent.get(self._name(file)) != _signature(file) for file in files) or any(
            not self._is_copied(sealed) for sealed in sealed_folders(self._run)
        )

    def copy(self) -> None:
        """One pass. Raises StoreError, AnotherRunError, or ConfigError for a damaged config.yaml.

        What the run's folder no longer has, or need not keep there, is removed at the end.
        """
        if self._there is None:
            self._there = self._store.sizes()
        self._require_own()
        self._copy_small(self._there)
        for sealed in sealed_folders(self._run):
            if not self._is_copied(sealed):
                self._copy_sealed(sealed, self._there)
        for name in self._discarded(self._there):
            self._store.remove(name)
            self._there.pop(name, None)

    def _name(self, path: Path) -> str:
        return name_of(self._run, path)

    def _require_own(self) -> None:
        """AnotherRunError if the events there are not the first ones of this run."""
        there = self._store.read(self._name(self._run.events)) or b""
        if not self._run.events.read_bytes().startswith(whole_lines(there)):
            raise AnotherRunError(
                f"{self._store.url} holds another run, or this one as another machine has "
                "continued it"
            )

    def _copy_small(self, there: dict[str, int]) -> None:
        """Store the logs and pictures that have changed, and the configuration."""
        for file in small_files(self._run):
            name = self._name(file)
            signature = _signature(file)
            if self._sent.get(name) == signature:
                continue
            is_same_picture = file.suffix == ".png" and there.get(name) == signature[1]
            try:
                if name in self._sent or not is_same_picture:
                    content = file.read_bytes()
                    whole = whole_lines(content) if file.suffix == ".jsonl" else content
                    self._store.write(name, whole)
                    there[name] = len(whole)
            except FileNotFoundError:  # removed meanwhile
                continue
            self._sent[name] = signature
        name, signature = self._name(self._run.config), _signature(self._run.config)
        if self._sent.get(name) != signature:
            content = public_config(self._run)
            self._store.write(name, content)
            there[name] = len(content)
            self._sent[name] = signature

    def _is_copied(self, sealed: Sealed) -> bool:
        document = sealed.folder / sealed.document
        return self._sealed.get(self._name(document)) == _signature(document)

    def _copy_sealed(self, sealed: Sealed, there: dict[str, int]) -> None:
        """Store a sealed folder, its document last; one that is removed meanwhile is left out."""
        document = sealed.folder / sealed.document
        name, signature = self._name(document), _signature(document)
        try:
            content = document.read_bytes()
            if name not in there or self._store.read(name) != content:
                if name in there:  # of the same name, but trained otherwise
                    self._store.remove(name)
                    del there[name]
                self._copy_files(sealed, there)
                self._copy_small(there)
                self._store.write(name, content)
                there[name] = len(content)
        except FileNotFoundError:
            return
        self._sealed[name] = signature

    def _copy_files(self, sealed: Sealed, there: dict[str, int]) -> None:
        """Store a sealed folder's files but its document; their sizes are then as here."""
        sizes = {}
        for file in sorted(sealed.folder.iterdir()):
            if file.name != sealed.document:
                name = self._name(file)
                sizes[name] = file.stat().st_size
                self._store.upload(file, name)
        found = self._store.sizes(self._name(sealed.folder))
        for name, size in sizes.items():
            if found.get(name) != size:
                raise StoreError(
                    f"{self._store.url}/{name} has {found.get(name, 0)} bytes after {size} were "
                    "stored; check the service"
                )
        there.update(sizes)

    def _discarded(self, there: dict[str, int]) -> Iterator[str]:
        """Names to remove, the documents of sealed folders first."""
        found = [
            name
            for stage in stages_of(self._run)
            for name in self._discarded_of(stage, [n for n in there if self._is_of(stage.path, n)])
        ]
        yield from sorted(found, key=lambda name: PurePosixPath(name).name not in DOCUMENTS)

    def _discarded_of(self, stage: StageFolder, names: list[str]) -> Iterator[str]:
        """Those of one stage: all of a discarded stage, discarded networks, and checkpoints that
        are old, incomplete or of a discarded training."""
        if not stage.spec.exists():
            yield from names
            return
        counts = checkpoints_among(self._run, stage, names)
        whole = {count for count, is_whole in counts.items() if is_whole}
        remove = self._spec.superseded(whole)
        remove |= {n for n in counts.keys() - whole if not stage.checkpoint(n).exists()}
        if not stage.final.exists():
            yield from (name for name in names if self._is_of(stage.final, name))
            remove |= {n for n in whole if n > stage.newest_checkpoint}
        for count in remove:
            yield from (name for name in names if self._is_of(stage.checkpoint(count), name))

    def _is_of(self, folder: Path, name: str) -> bool:
        return name.startswith(f"{self._name(folder)}/")


def _signature(path: Path) -> Signature:
    try:
        found = path.stat()
    except FileNotFoundError:
        return (0, 0)
    return found.st_mtime_ns, found.st_size
