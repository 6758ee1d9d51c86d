"""How far the copy of a run at `checkpoint.mirror` is; asks for a bounded time."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from progan.datasets.format.objects.store import ObjectStore, StoreError
from progan.datasets.names import shown
from progan.pipeline.run.mirror.contents import (
    checkpoint_of,
    checkpoints_among,
    final_of,
    name_of,
    public_config,
    small_files,
    stages_of,
    store_of,
    url_of,
    whole_lines,
)
from progan.pipeline.run_folder import RunFolder, frozen_config
from progan.stages.specs.stage import CheckpointSpec

ANSWER_SECONDS = 5.0

State = Literal["up_to_date", "behind", "ahead", "another_run", "no_answer", "error"]
"""ahead: another machine has continued the run; another_run: the copy is of another one"""


def mirror_state(run: RunFolder, timeout_seconds: float = ANSWER_SECONDS) -> dict[str, Any] | None:
    """The copy of a run as a JSON-able document; None if the run has no `checkpoint.mirror`.

    `files_behind` and `newest_checkpoint` (of those that are complete there) are None unless the
    storage has answered in time; `problem` says why it has not.
    """
    checkpoint = frozen_config(run).checkpoint
    if checkpoint.mirror is None:
        return None
    document = {
        "url": url_of(checkpoint.mirror, run),
        "state": "no_answer",
        "files_behind": None,
        "newest_checkpoint": None,
        "problem": f"does not answer within {timeout_seconds:.0f} s",
    }
    answers: list[dict[str, Any]] = []

    def ask(mirror: str) -> None:
        try:
            answers.append(_compared(run, store_of(mirror, run, attempts=1), checkpoint.spec))
        except StoreError as error:
            answers.append({"state": "error", "problem": str(error)})

    thread = threading.Thread(target=ask, args=[checkpoint.mirror], name="mirror", daemon=True)
    thread.start()
    thread.join(timeout_seconds)
    return document | (answers[0] if answers else {})


def mirror_line(document: dict[str, Any]) -> str:
    """mirror s3://BUCKET/RUNS/faces: 2 files behind, newest checkpoint there: 8x8 at 300 kimg"""
    files = "1 file" if document["files_behind"] == 1 else f"{document['files_behind']} files"
    words = {
        "up_to_date": "up to date",
        "behind": f"{files} behind, {_newest(document)}",
        "ahead": f"another machine has continued the run, {_newest(document)}",
        "another_run": "holds another run, or this one as another machine has continued it",
        "no_answer": document["problem"],
        "error": document["problem"],
    }
    return shown(f"mirror {document['url']}: {words[document['state']]}")


def _newest(document: dict[str, Any]) -> str:
    newest = document["newest_checkpoint"]
    if newest is None:
        return "no checkpoint there"
    size, images = newest["resolution"], newest["images_seen"]
    return f"newest checkpoint there: {size}x{size} at {images / 1000:g} kimg"


def _compared(run: RunFolder, store: ObjectStore, spec: CheckpointSpec) -> dict[str, Any]:
    """What differs between the run's folder and its copy."""
    events = whole_lines(store.read(name_of(run, run.events)) or b"")
    there = store.sizes()
    own = whole_lines(run.events.read_bytes()) if run.events.is_file() else b""
    behind = sum(there.get(name) != size for name, size in _expected(run, spec))
    state: State = "behind" if behind else "up_to_date"
    if not own.startswith(events):
        state = "ahead" if events.startswith(own) else "another_run"
    checkpoints = [
        {"resolution": int(stage.path.name), "images_seen": images_seen}
        for stage in stages_of(run)
        for images_seen, is_whole in sorted(checkpoints_among(run, stage, there).items())
        if is_whole
    ]
    newest = checkpoints[-1] if checkpoints else None
    answer = {"state": state, "files_behind": behind, "newest_checkpoint": newest}
    return answer | {"problem": None}


def _expected(run: RunFolder, spec: CheckpointSpec) -> Iterator[tuple[str, int]]:
    """The files that belong there, with their bytes; one that is removed meanwhile is left out."""
    yield name_of(run, run.config), len(public_config(run))
    files = list(small_files(run))
    for stage in stages_of(run):
        counts = {int(path.name) for path in stage.checkpoints.glob("[0-9]*")}
        kept = sorted(counts - spec.superseded(counts))
        for folder, _ in [final_of(stage), *(checkpoint_of(stage, count) for count in kept)]:
            files += sorted(folder.glob("*"))
    for file in files:
        try:
            yield name_of(run, file), _bytes(file)
        except FileNotFoundError:
            continue


def _bytes(file: Path) -> int:
    """As they are copied."""
    if file.suffix == ".jsonl":
        return len(whole_lines(file.read_bytes()))
    return file.stat().st_size
