"""starts.jsonl: every start of a stage's workers, with hosts and versions."""

import platform
from pathlib import Path

import pytest

from progan.stages.specs.stage import GrowthSpec
from progan.stages.storage.launch_log import processor, read_starts
from workers import run, spec


@pytest.mark.slow
def test_workers_log_hosts_and_versions(shapes: Path, tmp_path: Path) -> None:
    folder = run(
        spec(shapes, growth=GrowthSpec(fade_images=0, steady_images=32)), tmp_path / "0008", ranks=2
    )
    (start,) = read_starts(folder.starts)
    assert (start.ranks, start.images_seen, len(start.hosts)) == (2, 0, 1)
    assert start.hosts[0].ranks == 2 and start.hosts[0].device == processor()
    assert {"python", "torch", "deepspeed", "progan"} <= start.versions.keys()


def test_truncated_line_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "starts.jsonl"
    whole = '{"time": 1, "images_seen": 0, "ranks": 1, "hosts": [], "versions": {}}\n'
    path.write_text(whole + whole[:30])
    assert len(read_starts(path)) == 1
    assert read_starts(tmp_path / "none") == []


def test_processor_name_comes_from_cpuinfo_or_is_the_architecture(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Fast One\nflags\t: fpu\n")
    assert processor(tmp_path / "cpuinfo") == "Fast One"
    assert processor(tmp_path / "missing") == platform.machine()
