"""Hours of a run from milliseconds a picture."""

import pytest

from progan.pipeline.config.schema import load_config
from schedule import measured, parse_milliseconds, schedule


def test_hours_are_pictures_times_milliseconds() -> None:
    config = load_config(
        "demo", ("growth.last=8", "growth.fade_kimg=600", "growth.steady_kimg=1200")
    )
    document = schedule(config, {4: 3.0, 8: 6.0}, ranks=1, share=1.0)
    assert [stage["hours"] for stage in document["stages"]] == [1.0, 3.0]
    assert document["hours"] == 4.0
    assert schedule(config, {4: 3.0, 8: 6.0}, ranks=4, share=0.5)["hours"] == 2.0
    no_fade = load_config("demo", ("growth.last=8", "growth.mode=none", "growth.steady_kimg=1200"))
    assert schedule(no_fade, {4: 3.0, 8: 6.0}, ranks=1, share=1.0)["hours"] == 3.0


def test_stages_without_measurement_are_listed() -> None:
    times = parse_milliseconds(["4=1", "32=1.5"])
    document = schedule(load_config("demo", ()), times, ranks=1, share=1.0)
    assert document["not_measured"] == [8, 16]


def test_measured_rows_have_no_overrides_and_the_largest_batch_of_the_precision() -> None:
    rows = [
        {"resolution": 4, "precision": precision, "batch": batch, "overrides": words,
         "ms_per_picture": ms}
        for precision, batch, words, ms in [
            ("fp32", 64, [], 1.0), ("fp32", 16, [], 2.0), ("bf16", 64, [], 3.0),
            ("fp32", 128, ["seed=1"], 4.0),
        ]
    ]  # fmt: skip
    assert measured({"rows": rows}, "fp32") == pytest.approx({4: 1.0})
