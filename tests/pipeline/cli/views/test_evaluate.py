"""The table of `progan evaluate`."""

from typing import Any

from progan.pipeline.cli.views.evaluate import evaluation_table
from progan.pipeline.run.terminal import Terminal


def stage(resolution: int, left_out: dict[str, str], **results: dict[str, float]) -> dict[str, Any]:
    return {
        "resolution": resolution,
        "images_seen": 1500,
        "results": [
            {"metric": name, "at": resolution, "images": 96, "values": values}
            for name, values in results.items()
        ],
        "left_out": left_out,
    }


def lines(document: dict[str, Any]) -> list[str]:
    terminal = Terminal(width=120)
    with terminal.capture() as capture:
        terminal.print(evaluation_table(document))
    return [" ".join(line.split()) for line in capture.get().splitlines() if line.strip()]


def test_table_has_a_line_per_stage_and_each_reason_once() -> None:
    document = {
        "run": "runs/faces",
        "stages": [
            stage(8, {"swd": "too small", "fid": "no weights"}, ms_ssim={"ms_ssim": 0.25}),
            stage(
                16,
                {"fid": "no weights"},
                swd={"swd_16": 12.345, "swd_mean": 12.345},
                ms_ssim={"ms_ssim": 0.3},
            ),
        ],
    }
    title, headings, _, small, large, *reasons = lines(document)
    assert title == "runs/faces"
    assert headings == "stage kimg at images swd_16 swd_mean ms_ssim"
    assert small == "8 1.5 8 96 - - 0.2500"
    assert large == "16 1.5 16 96 12.35 12.35 0.3000"
    assert reasons == ["swd: too small", "fid: no weights"]


def test_table_without_results_shows_the_reasons() -> None:
    document = {"run": "r", "stages": [stage(4, {"swd": "too small"})]}
    assert lines(document)[-1] == "swd: too small"
