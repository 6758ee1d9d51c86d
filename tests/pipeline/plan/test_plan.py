"""The plan of a run: its table, and the warning about memory."""

from pathlib import Path
from typing import Any

import pytest

from progan.pipeline.cli.views.plan import Times, plan_document, plan_table, plan_view, time_table
from progan.pipeline.config.schema import load_config
from progan.pipeline.plan.host_memory import GIB, Machine
from progan.pipeline.plan.memory import shortages
from progan.pipeline.plan.plan import growth_spec, stage_specs
from progan.pipeline.plan.times import Hardware, StageTime
from progan.pipeline.run.terminal import Terminal
from progan.pipeline.run_folder import RunFolder

ON_GPU = Machine(ranks=1, on_gpus=True, manifest=None)


@pytest.fixture
def document() -> dict[str, Any]:
    """Two stages, of 3 GiB and of 12."""
    config = load_config("celebahq-1024-1gpu", ("growth.first=512",))
    specs = stage_specs(config, RunFolder(Path("RUN")), "")
    footprints = [{"weights": GIB, "activations": rest * GIB} for rest in (2, 11)]
    return plan_document(specs, footprints, ON_GPU)


def test_table_shows_memory_per_rank(document: dict[str, Any]) -> None:
    device, host = plan_table(document).columns[-2:]
    assert [device.header, host.header] == ["step", "RAM"]
    assert list(device.cells) == ["3.00", "12.00"]
    assert [float(str(size)) > 0.8 for size in host.cells] == [True, True]


def test_table_shows_both_learning_rates_where_they_differ(document: dict[str, Any]) -> None:
    document["stages"][1]["discriminator_lr"] = 0.004
    assert list(plan_table(document).columns[5].cells) == ["0.001", "0.0015 D 0.004"]


@pytest.mark.parametrize(
    ("mode", "names", "images"),
    [
        ("fade", ["fade", "steady"], ["0", "3"]),
        ("stacked", ["separate", "joint"], ["0", "3"]),
        ("none", ["fade", "steady"], ["0", "0"]),
    ],
)
def test_phases_are_named_by_growth_mode(mode: str, names: list[str], images: list[str]) -> None:
    config = load_config("demo", (f"growth.mode={mode}", "growth.last=8"))
    found = plan_document(stage_specs(config, RunFolder(Path("RUN")), ""), [None, None], ON_GPU)
    assert [stage["mode"] for stage in found["stages"]] == ["none", mode]
    assert found["total_kimg"] == (7 if mode == "none" else 10)
    first, second = plan_table(found).columns[1:3]
    assert [first.header, second.header] == names
    assert list(first.cells) == images


def test_growth_mode_is_none_without_fade_images() -> None:
    growth = load_config("demo", ("growth.fade_kimg={8: 1, 16: 0}",)).growth
    modes = [growth_spec(growth, resolution).mode for resolution in (4, 8, 16)]
    assert modes == ["none", "fade", "none"]


def test_dcgan_is_one_stage_with_maps_up_to_half_the_resolution() -> None:
    specs = stage_specs(load_config("dcgan-64"), RunFolder(Path("RUN")), "")
    (stage,) = plan_document(specs, [None], ON_GPU)["stages"]
    shown = [stage[key] for key in ("resolution", "fade_kimg", "steady_kimg", "steps", "width")]
    assert shown == [64, 0, 8750, 68_360, 128]


@pytest.mark.parametrize("gpus", [[], [24 * GIB, 17 * GIB]])
def test_no_warning_if_all_stages_fit(document: dict[str, Any], gpus: list[int]) -> None:
    assert shortages(document, gpus, 64 * GIB, ranks=1) == []


# 12 GiB of tensors at 1024x1024: fragments and CUDA's context come on top.
@pytest.mark.parametrize(("gib", "stages"), [(16, "1024"), (2, "512, 1024")])
def test_stages_that_do_not_fit_are_named_in_one_line(
    document: dict[str, Any], gib: int, stages: str
) -> None:
    assert shortages(document, [80 * GIB, gib * GIB], ram=0, ranks=1) == [
        f"stage 1024 needs about 16.2 GiB on each GPU, and there are {gib}.0 (what does not fit: "
        f"{stages}); a smaller micro_batch, engine.activation_checkpointing and, over several "
        "GPUs, engine.zero take less"
    ]


def test_all_ranks_of_a_machine_share_its_memory(document: dict[str, Any]) -> None:
    document["stages"][1]["host_memory_bytes"] = 12 * GIB
    assert shortages(document, [], 24 * GIB, ranks=2) == []
    (warning,) = shortages(document, [], 24 * GIB, ranks=3)
    assert "stage 1024 needs about 36.0 GiB of this machine's memory for 3 ranks" in warning


HARDWARE = Hardware("A processor", ranks=2, cpus=8, on_gpus=False)


def timed(*times: StageTime | None) -> dict[str, Any]:
    """The demo's plan on two ranks: stages of 4,000 and 6,000 images, a rank's share is 8."""
    specs = stage_specs(load_config("demo"), RunFolder(Path("RUN")), "")
    machine = Machine(ranks=2, on_gpus=False, manifest=None)
    return plan_document(specs, [None] * 4, machine, Times(HARDWARE, times))


def printed(document: dict[str, Any]) -> str:
    terminal = Terminal(width=80)
    with terminal.capture() as capture:
        terminal.print(plan_view(document))
    return capture.get()


def test_times_have_columns_and_a_total() -> None:
    document = timed(
        StageTime(step_seconds=0.01, batch=8, steps=9),
        StageTime(step_seconds=4.8, batch=4, steps=2),
        StageTime(step_seconds=4.8, batch=8, steps=1),
        StageTime(step_seconds=48, batch=0, steps=0),
    )
    rows = list(zip(*(column.cells for column in time_table(document).columns), strict=True))
    assert rows == [
        ("4", "1,600", "0:00:02", "9 steps of 8"),
        ("8", "~3.3", "~0:30:00", "2 steps of 4"),
        ("16", "3.3", "0:30:00", "1 step of 8"),
        ("32", "~0.33", "~5:00:00", "the stage before"),
    ]
    assert document["hours"] == pytest.approx(6 + 2.5 / 3600)
    assert document["stages"][3]["hours"] == pytest.approx(5)
    assert [stage["time_is_approximate"] for stage in document["stages"]] == [0, 1, 0, 1]
    text = printed(document)
    assert "the whole run: about 6 h 0 min" in text
    assert "one rank of 2 on random pictures, on A processor" in text


def test_stage_that_could_not_be_timed_says_why_and_the_total_is_unknown() -> None:
    full = StageTime(step_seconds=None, batch=0, steps=0, error="OutOfMemoryError: CUDA")
    document = timed(StageTime(step_seconds=1, batch=8, steps=2), full, None, None)
    assert document["hours"] is None
    text = printed(document)
    assert "not known for every stage" in text and "OutOfMemoryError: CUDA" in text


def test_plan_without_times_says_how_to_get_them() -> None:
    assert "progan plan CONFIG --time" in printed(timed(None, None, None, None))
