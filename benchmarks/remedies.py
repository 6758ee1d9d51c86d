"""What is played, and what each remedy is compared with: the same without it.

Every entry is what a configuration would say. Where a remedy's paper has a setting in which
training goes wrong, remedy and comparison both have that setting.
"""

from typing import Any, NamedTuple

from toy import BATCH, Says

RATE = 0.01
CLIPPED = 0.2
"""Bound of weights, for layers of 64: the paper's 0.01 is for wider ones"""


class Entry(NamedTuple):
    """One configuration."""

    says: Says
    beside: str | None = None
    """The entry that lacks the remedy; none if there is none to lack"""


def objective(**changes: Any) -> Says:
    """Plain minimax, but for what is given."""
    return {"objective": {"loss": "minimax", "penalties": ()} | changes}


def penalised(kind: str, weight: float | None = None, loss: Any = "minimax", **keys: Any) -> Says:
    """A loss with one penalty, or with a constraint, which has no weight."""
    weighted = {} if weight is None else {"weight": weight}
    return objective(loss=loss, penalties=[{"kind": kind, **weighted, **keys}])


def discriminator(**pieces: Any) -> Says:
    """Pieces of the discriminator."""
    return {"model": {"latent": 16, "discriminator": {"minibatch": "none"} | pieces}}


NONSATURATING = objective(loss="nonsaturating")
ENERGY = discriminator(head={"kind": "autoencoder"})
AHEAD: Says = {"lr": RATE, "discriminator_lr": 5 * RATE}
"""A discriminator that is nearly always right, so that a loss that saturates says nothing"""
BEHIND: Says = {"lr": RATE, "discriminator_lr": RATE / 10}
"""One that is slow to answer, so that the generator moves on from mode to mode"""
MOMENTUM: Says = {"lr": 2 * RATE, "optimizer": {"beta1": 0.9, "beta2": 0.999}}
"""Steps that overshoot, so that both circle"""
HIGH: Says = {"lr": 5 * RATE}
"""Steps that are too large for an unbounded discriminator"""
RMSPROP: Says = {"lr": RATE, "optimizer": {"kind": "rmsprop"}}


def beside(name: str, entries: dict[str, Says]) -> dict[str, Entry]:
    """Remedies that are compared with the entry of this name."""
    return {remedy: Entry(says, name) for remedy, says in entries.items()}


DIVERGENCES = ("kl", "reverse_kl", "pearson", "neyman", "squared_hellinger", "jensen_shannon",
               "total_variation")  # fmt: skip
LOSSES: dict[str, Entry] = {
    "minimax": Entry(AHEAD),
    **beside(
        "minimax",
        {
            **{
                loss: objective(loss={"kind": loss}) | AHEAD
                for loss in ("nonsaturating", "lsgan", "hinge", "rgan", "ragan")
            },
            **{
                f"fgan {divergence}": objective(loss={"kind": "fgan", "divergence": divergence})
                | AHEAD
                for divergence in DIVERGENCES
            },
            "labels smoothed": objective(loss={"kind": "minimax", "smoothing": 0.1}) | AHEAD,
        },
    ),
    "ebgan": Entry(objective(loss={"kind": "ebgan", "margin": 1}) | ENERGY),
    **beside(
        "ebgan",
        {
            "ebgan + pulling_away": penalised(
                "pulling_away", 0.1, {"kind": "ebgan", "margin": 1}, group=BATCH
            )
            | ENERGY,
            "began": objective(loss={"kind": "began"}) | ENERGY,
        },
    ),
}
PENALTIES: dict[str, Entry] = {
    **beside(
        "minimax",
        {
            "gradient": penalised("gradient", 1) | AHEAD,
            "gradient, one-sided": penalised("gradient", 1, one_sided=True) | AHEAD,
            "r1": penalised("r1", 1) | AHEAD,
            "r2": penalised("r2", 1) | AHEAD,
            "dragan": penalised("dragan", 1) | AHEAD,
            "js_regularizer": penalised("js_regularizer", 1) | AHEAD,
        },
    ),
    "wgan": Entry(objective(loss="wgan") | AHEAD),
    **beside(
        "wgan",
        {
            "wgan + gradient": penalised("gradient", 1, "wgan") | AHEAD,
            "wgan + weight_clip": penalised("weight_clip", loss="wgan", bound=CLIPPED) | AHEAD,
        },
    ),
    "hinge, high rate": Entry(objective(loss="hinge") | HIGH),
    **beside(
        "hinge, high rate",
        {
            "spectral_norm": penalised("spectral_norm", loss="hinge") | HIGH,
            "orthogonal": penalised("orthogonal", 0.01, "hinge") | HIGH,
        },
    ),
    "nonsaturating, momentum": Entry(NONSATURATING | MOMENTUM),
    **beside(
        "nonsaturating, momentum",
        {
            "r1, momentum": penalised("r1", 0.2, "nonsaturating") | MOMENTUM,
            "historical_average": penalised(
                "historical_average", 0.001, "nonsaturating",
                networks=["generator", "discriminator"],
            )
            | MOMENTUM,
            "consensus": penalised("consensus", 10, "nonsaturating") | MOMENTUM,
            "feature_matching": penalised("feature_matching", 1, "nonsaturating", group=64)
            | MOMENTUM,
            "replay": objective(
                loss="nonsaturating", replay={"size": 100 * BATCH, "share": 0.5}
            )
            | MOMENTUM,
        },
    ),
}  # fmt: skip
PIECES: dict[str, Entry] = {
    "nonsaturating, high rate": Entry(NONSATURATING | HIGH),
    **beside(
        "nonsaturating, high rate",
        {
            "minibatch: stddev": NONSATURATING | HIGH | discriminator(minibatch="stddev"),
            "minibatch: discrimination": NONSATURATING
            | HIGH
            | discriminator(minibatch="discrimination"),
            "critics: 3, mean": NONSATURATING | HIGH | discriminator(critics=3),
            "critics: 3, hardest": objective(loss="nonsaturating", critics="hardest")
            | HIGH
            | discriminator(critics=3),
        },
    ),
}
UPDATES: dict[str, Entry] = {
    "nonsaturating, slow D": Entry(NONSATURATING | BEHIND),
    **beside(
        "nonsaturating, slow D",
        {
            "critic_steps: 5": objective(loss="nonsaturating", critic_steps=5) | BEHIND,
            "two rates": NONSATURATING | BEHIND | {"discriminator_lr": 5 * RATE},
            "unrolled: 5": objective(loss="nonsaturating", unrolled=5) | BEHIND,
        },
    ),
    "wgan, clipped, adam": Entry(penalised("weight_clip", loss="wgan", bound=CLIPPED) | MOMENTUM),
    "wgan, clipped, rmsprop": Entry(
        penalised("weight_clip", loss="wgan", bound=CLIPPED) | RMSPROP, "wgan, clipped, adam"
    ),
}
REMEDIES = LOSSES | PENALTIES | PIECES | UPDATES
"""By name"""
