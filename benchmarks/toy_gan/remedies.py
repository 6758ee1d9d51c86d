"""The remedies that are trained, each with its baseline: the same configuration without it.

Where a remedy's paper has a setting in which training fails, remedy and baseline both use it.
"""

from typing import Any, NamedTuple

from toy_gan.game import BATCH, RATE, Fields


class Entry(NamedTuple):
    """One configuration."""

    fields: Fields
    baseline: str | None = None
    """Name of the entry without the remedy; none for a baseline"""


def objective(**changes: Any) -> Fields:
    """Plain minimax with changes."""
    return {"objective": {"loss": "minimax", "penalties": ()} | changes}


def penalised(kind: str, weight: float | None = None, loss: Any = "minimax", **keys: Any) -> Fields:
    """A loss with one penalty, or with a constraint, which has no weight."""
    weighted = {} if weight is None else {"weight": weight}
    return objective(loss=loss, penalties=[{"kind": kind, **weighted, **keys}])


def discriminator(**changes: Any) -> Fields:
    """The toy's discriminator with changes."""
    return {"model": {"latent": 16, "discriminator": {"minibatch": "none"} | changes}}


NONSATURATING = objective(loss="nonsaturating")
CLIPPED_WGAN = penalised("weight_clip", loss="wgan", bound=0.2)  # 0.01 is for wider layers
ENERGY = discriminator(head={"kind": "autoencoder"})
FAST_DISCRIMINATOR: Fields = {"lr": RATE, "discriminator_lr": 5 * RATE}
"""A discriminator that is nearly always right, so that the gradients of minimax vanish"""
SLOW_DISCRIMINATOR: Fields = {"lr": RATE, "discriminator_lr": RATE / 10}
"""One so slow that the generator moves from mode to mode"""
SLOWER_DISCRIMINATOR: Fields = {"lr": RATE, "discriminator_lr": RATE / 2}
"""One that lags behind the generator a little"""
MOMENTUM: Fields = {"lr": 2 * RATE, "optimizer": {"beta1": 0.9, "beta2": 0.999}}
"""Steps that overshoot, so that both networks oscillate"""
NO_MOMENTUM: Fields = {"optimizer": {"beta1": 0.0, "beta2": 0.9}}
HIGH_RATE: Fields = {"lr": 5 * RATE}
"""Steps that are too large for an unbounded discriminator"""
SGD: Fields = {"lr": 20 * RATE, "optimizer": {"kind": "sgd", "momentum": 0.5}}
"""Its steps are as long as the gradients, and so at Adam's rate would be tiny"""
RMSPROP: Fields = {"optimizer": {"kind": "rmsprop"}}


def against(baseline: str, setting: Fields, remedies: dict[str, Fields]) -> dict[str, Entry]:
    """Remedies in a setting, compared with the baseline of this name."""
    return {remedy: Entry(setting | fields, baseline) for remedy, fields in remedies.items()}


DIVERGENCES = ("kl", "reverse_kl", "pearson", "neyman", "squared_hellinger", "jensen_shannon",
               "total_variation")  # fmt: skip
EBGAN = {"kind": "ebgan", "margin": 1}
LOSSES = {
    "minimax": Entry(FAST_DISCRIMINATOR),
    **against("minimax", FAST_DISCRIMINATOR, {
        "labels smoothed": objective(loss={"kind": "minimax", "smoothing": 0.1}),
        **{
            loss: objective(loss={"kind": loss})
            for loss in ("nonsaturating", "lsgan", "hinge", "rgan", "ragan")
        },
        **{
            f"fgan {divergence}": objective(loss={"kind": "fgan", "divergence": divergence})
            for divergence in DIVERGENCES
        },
    }),
    "ebgan": Entry(ENERGY | objective(loss=EBGAN)),
    **against("ebgan", ENERGY, {
        "pulling_away": penalised("pulling_away", 0.1, EBGAN, group=BATCH),
        "began": objective(loss="began"),
    }),
}  # fmt: skip
PENALTIES = {
    **against("minimax", FAST_DISCRIMINATOR, {
        "gradient": penalised("gradient", 1),
        "gradient, one-sided": penalised("gradient", 1, one_sided=True),
        **{
            kind: penalised(kind, 1) for kind in ("r1", "r2", "dragan", "js_regularizer")
        },
    }),
    "wgan": Entry(objective(loss="wgan")),
    **against("wgan", {}, {
        "wgan + gradient": penalised("gradient", 1, "wgan"),
        "orthogonal": penalised("orthogonal", 0.1, "wgan"),
        "gradient_norm": penalised("gradient_norm", 1, "wgan"),
    }),
    "hinge, no momentum": Entry(NO_MOMENTUM | objective(loss="hinge")),
    **against("hinge, no momentum", NO_MOMENTUM, {
        "spectral_norm": penalised("spectral_norm", loss="hinge"),
    }),
    "wgan, rmsprop": Entry(RMSPROP | objective(loss="wgan")),
    **against("wgan, rmsprop", RMSPROP, {"weight_clip": CLIPPED_WGAN}),
    "nonsaturating, momentum": Entry(MOMENTUM | NONSATURATING),
    **against("nonsaturating, momentum", MOMENTUM, {
        "r1, momentum": penalised("r1", 0.2, "nonsaturating"),
        "historical_average": penalised(
            "historical_average", 0.001, "nonsaturating", networks=["generator", "discriminator"]
        ),
        "consensus": penalised("consensus", 10, "nonsaturating"),
        "feature_matching": penalised("feature_matching", 1, "nonsaturating", group=64),
        "sgd": SGD | NONSATURATING,
        "replay": objective(loss="nonsaturating", replay={"size": 100 * BATCH, "share": 0.5}),
    }),
}  # fmt: skip
NETWORKS = {
    "minimax, high rate": Entry(HIGH_RATE | objective()),
    **against("minimax, high rate", HIGH_RATE, {
        "mode_regularizer": penalised("mode_regularizer", 1, lambda_1=5),
    }),
    **against("minimax", FAST_DISCRIMINATOR, {
        "generators: 8": objective() | {
            "model": {"latent": 16, "generators": 8, "discriminator": {"minibatch": "none"}}
        },
    }),
    "nonsaturating, high rate": Entry(HIGH_RATE | NONSATURATING),
    **against("nonsaturating, high rate", HIGH_RATE, {
        "minibatch: stddev": NONSATURATING | discriminator(minibatch="stddev"),
        "minibatch: discrimination": NONSATURATING | discriminator(minibatch="discrimination"),
        "critics: 3, mean": NONSATURATING | discriminator(critics=3),
        "critics: 3, hardest": objective(loss="nonsaturating", critics="hardest")
        | discriminator(critics=3),
    }),
}  # fmt: skip
UPDATES = {
    "nonsaturating, slow D": Entry(SLOW_DISCRIMINATOR | NONSATURATING),
    **against("nonsaturating, slow D", SLOW_DISCRIMINATOR, {
        "critic_steps: 5": objective(loss="nonsaturating", critic_steps=5),
        "two rates": NONSATURATING | {"discriminator_lr": 5 * RATE},
    }),
    "minimax, slower D": Entry(SLOWER_DISCRIMINATOR | objective()),
    **against("minimax, slower D", SLOWER_DISCRIMINATOR, {"unrolled: 5": objective(unrolled=5)}),
    "weight_clip, momentum": Entry(CLIPPED_WGAN | {"optimizer": MOMENTUM["optimizer"]}),
    **against("weight_clip, momentum", CLIPPED_WGAN, {"rmsprop": RMSPROP}),
}  # fmt: skip
REMEDIES: dict[str, Entry] = LOSSES | PENALTIES | NETWORKS | UPDATES
"""By name"""
