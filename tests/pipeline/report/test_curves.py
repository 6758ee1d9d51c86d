"""Charts of all scalars, thinned without losing peaks."""

import math

from progan.pipeline.report.curves import POINTS, charts, thinned


def test_thinning_keeps_the_ends_and_every_peak() -> None:
    points = [(at, math.sin(at / 50)) for at in range(40_000)]
    points[12_345], points[20_000] = (12_345, 99.0), (20_000, -99.0)
    kept = thinned(points, 600)
    assert len(kept) <= 600 and kept == sorted(kept)
    assert {points[0], points[-1], points[12_345], points[20_000]} <= set(kept)
    assert thinned(points[:600], 600) == points[:600]


def test_long_run_is_thinned_and_keeps_its_maximum() -> None:
    ticks = [{"images_seen": at, "generator_loss": float(at % 7)} for at in range(1, 30_000)]
    ticks[777]["generator_loss"] = 1e6
    (chart,) = charts([(0, ticks), (30_000, ticks[:9_000])])
    (series,) = chart.series
    assert len(series.at) <= POINTS and max(series.values) == 1e6
    assert list(series.at) == sorted(series.at) and series.at[-1] == 39_000


def test_scalars_are_grouped_by_name_known_or_not() -> None:
    tick = {"images_seen": 5, "phase": "steady", "time": 1.0, "seconds": 1.0, "lr": 0.1,
            "generator_loss": 1, "discriminator_loss": 2, "generator_grad_norm": 3,
            "swd_16": 4, "swd_mean": 5, "ms_ssim": 6, "quux_1": 7, "quux_2": 8, "odd": True,
            "note": "text", "none": None}  # fmt: skip
    grouped = {c.title: [s.label for s in c.series] for c in charts([(100, [tick])])}
    assert grouped == {
        "Sliced Wasserstein distance": ["16", "mean"],
        "MS-SSIM": ["ms ssim"],
        "Losses": ["generator", "discriminator"],
        "Gradient norms": ["generator"],
        "Learning rate": ["lr"],
        "Quux": ["1", "2"],
    }


def test_logits_of_held_out_pictures_have_a_chart_of_their_own() -> None:
    names = ("real_logits", "holdout_logits", "train_logits", "holdout_fake_logits")
    both = charts([(0, [{"images_seen": 5} | dict.fromkeys(names, 0.5)])])
    assert [(c.title, [s.label for s in c.series]) for c in both] == [
        ("Critic's scores", ["real"]),
        ("Held-out pictures", ["held-out reals", "training reals", "fakes"]),
    ]
    assert "by heart" in both[1].hint


def test_scalar_of_only_some_ticks_is_drawn_at_those() -> None:
    ticks = [{"images_seen": at} | ({"fid": 9.0} if at == 20 else {}) for at in (10, 20, 30)]
    (chart,) = charts([(1000, ticks)])
    assert chart.series[0].at == (1020,)


def test_memory_is_shown_in_gib() -> None:
    (chart,) = charts([(0, [{"images_seen": 5, "resident_memory_bytes": 3 * 2**30}])])
    assert (chart.title, chart.series[0].values) == ("Memory", (3.0,))
