"""What is played, and what each remedy is compared with: the same without it.

Every entry is what a configuration would say. Where a remedy's paper has a setting in which
training goes wrong, remedy and comparison both have that setting.
"""

from typing import Any, NamedTuple

from toy import BATCH, RATE, Says


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
CLIPPED_WGAN = penalised("weight_clip", loss="wgan", bound=0.2)  # 0.01 is for wider layers
ENERGY = discriminator(head={"kind": "autoencoder"})
AHEAD: Says = {"lr": RATE, "discriminator_lr": 5 * RATE}
"""A discriminator that is nearly always right, so that a loss that saturates says nothing"""
BEHIND: Says = {"lr": RATE, "discriminator_lr": RATE / 10}
"""One that is slow to answer, so that the generator moves on from mode to mode"""
SLOWER: Says = {"lr": RATE, "discriminator_lr": RATE / 2}
"""One that answers, but late"""
MOMENTUM: Says = {"lr": 2 * RATE, "optimizer": {"beta1": 0.9, "beta2": 0.999}}
"""Steps that overshoot, so that both circle"""
NO_MOMENTUM: Says = {"optimizer": {"beta1": 0.0, "beta2": 0.9}}
HIGH: Says = {"lr": 5 * RATE}
"""Steps that are too large for an unbounded discriminator"""
RMSPROP: Says = {"optimizer": {"kind": "rmsprop"}}


def beside(name: str, setting: Says, remedies: dict[str, Says]) -> dict[str, Entry]:
    """Remedies in a setting, which are compared with the entry of this name."""
    return {remedy: Entry(setting | says, name) for remedy, says in remedies.items()}


DIVERGENCES = ("kl", "reverse_kl", "pearson", "neyman", "squared_hellinger", "jensen_shannon",
               "total_variation")  # fmt: skip
EBGAN = {"kind": "ebgan", "margin": 1}
LOSSES = {
    "minimax": Entry(AHEAD),
    **beside("minimax", AHEAD, {
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
    **beside("ebgan", ENERGY, {
        "pulling_away": penalised("pulling_away", 0.1, EBGAN, group=BATCH),
        "began": objective(loss="began"),
    }),
}  # fmt: skip
PENALTIES = {
    **beside("minimax", AHEAD, {
        "gradient": penalised("gradient", 1),
        "gradient, one-sided": penalised("gradient", 1, one_sided=True),
        **{
            kind: penalised(kind, 1) for kind in ("r1", "r2", "dragan", "js_regularizer")
        },
    }),
    "wgan": Entry(objective(loss="wgan")),
    **beside("wgan", {}, {
        "wgan + gradient": penalised("gradient", 1, "wgan"),
        "orthogonal": penalised("orthogonal", 0.1, "wgan"),
    }),
    "hinge, no momentum": Entry(NO_MOMENTUM | objective(loss="hinge")),
    **beside("hinge, no momentum", NO_MOMENTUM, {
        "spectral_norm": penalised("spectral_norm", loss="hinge"),
    }),
    "wgan, rmsprop": Entry(RMSPROP | objective(loss="wgan")),
    **beside("wgan, rmsprop", RMSPROP, {"weight_clip": CLIPPED_WGAN}),
    "nonsaturating, momentum": Entry(MOMENTUM | NONSATURATING),
    **beside("nonsaturating, momentum", MOMENTUM, {
        "r1, momentum": penalised("r1", 0.2, "nonsaturating"),
        "historical_average": penalised(
            "historical_average", 0.001, "nonsaturating", networks=["generator", "discriminator"]
        ),
        "consensus": penalised("consensus", 10, "nonsaturating"),
        "feature_matching": penalised("feature_matching", 1, "nonsaturating", group=64),
        "replay": objective(loss="nonsaturating", replay={"size": 100 * BATCH, "share": 0.5}),
    }),
}  # fmt: skip
PIECES = {
    "minimax, high rate": Entry(HIGH | objective()),
    **beside("minimax, high rate", HIGH, {
        "mode_regularizer": penalised("mode_regularizer", 1, lambda_1=5),
    }),
    "nonsaturating, high rate": Entry(HIGH | NONSATURATING),
    **beside("nonsaturating, high rate", HIGH, {
        "minibatch: stddev": NONSATURATING | discriminator(minibatch="stddev"),
        "minibatch: discrimination": NONSATURATING | discriminator(minibatch="discrimination"),
        "critics: 3, mean": NONSATURATING | discriminator(critics=3),
        "critics: 3, hardest": objective(loss="nonsaturating", critics="hardest")
        | discriminator(critics=3),
    }),
}  # fmt: skip
UPDATES = {
    "nonsaturating, slow D": Entry(BEHIND | NONSATURATING),
    **beside("nonsaturating, slow D", BEHIND, {
        "critic_steps: 5": objective(loss="nonsaturating", critic_steps=5),
        "two rates": NONSATURATING | {"discriminator_lr": 5 * RATE},
    }),
    "minimax, slower D": Entry(SLOWER | objective()),
    **beside("minimax, slower D", SLOWER, {"unrolled: 5": objective(unrolled=5)}),
    "weight_clip, momentum": Entry(CLIPPED_WGAN | {"optimizer": MOMENTUM["optimizer"]}),
    **beside("weight_clip, momentum", CLIPPED_WGAN, {"rmsprop": RMSPROP}),
}  # fmt: skip
REMEDIES: dict[str, Entry] = LOSSES | PENALTIES | PIECES | UPDATES
"""By name"""
