"""Progress bars and tables of `progan prepare` and `progan data`."""

import time
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn
from rich.table import Table

from progan.datasets.build.prepare import Progress as Built
from progan.datasets.build.prepare import prepare
from progan.datasets.build.reject_log import REJECTED
from progan.datasets.build.size_estimate import gigabytes
from progan.datasets.files import some_of
from progan.datasets.format.manifest import KINDS, Manifest, load_manifest
from progan.datasets.format.verify import Verified, verify
from progan.pipeline.config.secrets import without_secrets
from progan.pipeline.run.terminal import Bars, Terminal, Words

LINE_SECONDS = 10.0
FEW_PICTURES = 100


def prepare_with_bar(source: str, dataset: Path, resolution: int, **choices: Any) -> None:
    """Build a data set; shows pictures/s, bytes and the remaining time on standard error."""
    terminal = Terminal(stderr=True)
    began = time.monotonic()
    with _bar(terminal, "pictures") as bar:
        report = _Reporter(terminal, bar)
        manifest = prepare(
            source,
            dataset,
            resolution,
            report=report,
            report_copy=report.copying,
            note=terminal.say,
            **choices,
        )
    for line in summary(dataset, manifest, time.monotonic() - began):
        terminal.say(line)


class _Reporter:
    """Shows the progress of a build: a bar on a terminal, else a line every ten seconds."""

    def __init__(self, terminal: Terminal, bar: Bars) -> None:
        self._terminal, self._bar = terminal, bar
        self._task = bar.add_task("pictures", total=None, note="")
        self._first: Built | None = None
        self._began = self._last_line = time.monotonic()

    def __call__(self, built: Built) -> None:
        now = time.monotonic()
        if self._first is None:
            # The speed counts this process's pictures only, not those of an interrupted build.
            self._first, self._began = built, now
            if built.bytes_expected:
                self._terminal.say(
                    f"{built.pictures_total:,} pictures, {built.pictures_done:,} of them done; "
                    f"about {gigabytes(built.bytes_expected)} in all"
                )
        pace = (built.pictures_done - self._first.pictures_done) / max(now - self._began, 1e-9)
        note = f"{pace:.0f} pictures/s  {gigabytes(built.bytes_written)}"
        if built.rejected:
            note += f"  {built.rejected} rejected"
        done, total = built.pictures_done, built.pictures_total
        self._bar.update(self._task, completed=done, total=total, note=note)
        if not self._terminal.is_terminal and now - self._last_line > LINE_SECONDS:
            self._last_line = now
            left = f"{(total - done) / pace:.0f} s left" if pace else ""
            self._terminal.say(f"{done:,} of {total:,} pictures  {note}  {left}")

    def copying(self, url: str) -> None:
        """Shows which remote tar file is copied."""
        self._terminal.say(f"copying {without_secrets(url)}")


def summary(dataset: Path, manifest: Manifest, seconds: float) -> list[str]:
    """A line about the data set, and one each for enlarged and rejected pictures."""
    resolutions = manifest.resolutions
    classes = f", {len(manifest.classes)} classes" if manifest.classes else ""
    num_bytes = sum(shard.bytes for shards in manifest.levels.values() for shard in shards)
    lines = [
        f"{dataset}: {manifest.num_samples:,} pictures{classes} at {resolutions[0]} to "
        f"{resolutions[-1]} pixels, {gigabytes(num_bytes)}, in {seconds:.1f} s"
    ]
    if manifest.num_samples < FEW_PICTURES:
        lines.append(
            f"warning: {manifest.num_samples:,} picture{'s' * (manifest.num_samples > 1)}: "
            "a network learns so few by heart, and generates copies of them"
        )
    if manifest.enlarged:
        lines.append(
            f"{manifest.enlarged:,} of them were smaller and have been enlarged (--small skip "
            "leaves such pictures out)"
        )
    if manifest.rejected or manifest.too_small:
        lines.append(
            f"{manifest.rejected:,} files could not be used, {manifest.too_small:,} pictures were "
            f"too small: see {dataset / REJECTED}"
        )
    return lines


def verify_with_bar(dataset: str) -> dict[str, Any]:
    """Verify a data set, with a progress bar; the result as a JSON document."""
    manifest = load_manifest(dataset)
    total = sum(shard.bytes for shards in manifest.levels.values() for shard in shards)
    seen = 0
    with _bar(Terminal(stderr=True), "MB") as bar:
        task = bar.add_task("MB", total=round(total / 1e6), note="")

        def report(verified: Verified) -> None:
            nonlocal seen
            seen += verified.num_bytes
            bar.update(task, completed=round(seen / 1e6))

        problems = verify(dataset, manifest, report)
    shards = sum(len(level) for level in manifest.levels.values())
    return {
        "dataset": dataset,
        "whole": not problems,
        "shards": shards,
        "bytes": seen,
        "problems": problems,
    }


def verify_table(document: dict[str, Any]) -> str:
    """The document as text."""
    size = gigabytes(document["bytes"])
    if document["whole"]:
        return f"{document['dataset']} is whole: {document['shards']:,} shards, {size}"
    count = len(document["problems"])
    return "\n".join([*document["problems"], f"{document['dataset']}: {count} problems in {size}"])


def info_table(document: dict[str, Any]) -> Group:
    """The document as a table with a row for each level, and lines above and below it."""
    kind = KINDS[document["channels"]]
    title = f"{document['dataset']}: {document['samples']:,} pictures, {kind}"
    table = Table()
    for heading in ("size", "stored as", "shards", "bytes", "a picture"):
        table.add_column(heading, justify="right")
    for resolution, level in document["levels"].items():
        each = level["bytes"] / document["samples"]
        table.add_row(
            f"{resolution}x{resolution}",
            level["codec"],
            f"{level['shards']:,}",
            gigabytes(level["bytes"]),
            f"{each / 1000:.1f} kB",
        )
    return Group(title, table, *_remarks(document))


def _remarks(document: dict[str, Any]) -> list[str]:
    lines = [f"{gigabytes(document['bytes'])} in all, made of {document['source']}"]
    if classes := document["classes"]:
        shown = [f"{name} {count:,}" for name, count in list(classes.items())[:12]]
        more = f" and {len(classes) - len(shown)} more" if len(classes) > len(shown) else ""
        lines.append(f"{len(classes)} classes: {', '.join(shown)}{more}")
        if empty := [name for name, count in classes.items() if not count]:
            lines.append(f"{len(empty):,} of them have no pictures: {some_of(empty, 8)}")
    lines += [
        f"{document[key]:,} {text}"
        for key, text in (
            ("enlarged", "were smaller than the largest size and have been enlarged"),
            ("rejected", f"files could not be used: see {REJECTED}"),
            ("too_small", f"were left out as too small: see {REJECTED}"),
        )
        if document[key]
    ]
    return [*lines, f"fingerprint {document['fingerprint'][:16]}"]


def _bar(terminal: Terminal, unit: str) -> Bars:
    return terminal.bars(
        Words(unit),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        Words("{task.fields[note]}"),
        TimeRemainingColumn(),
    )
