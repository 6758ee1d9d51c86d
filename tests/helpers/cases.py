"""Every loss and penalty, as a configuration says it."""

from typing import Any, get_args

from progan.stages.specs.losses import FGan

SHAPE = {"latent": 16, "fmap_base": 64, "fmap_max": 16}
ENERGY = {"discriminator": {"head": "autoencoder", "minibatch": "none"}}
BASES = ("nonsaturating", "lsgan", "hinge")
DIVERGENCES = get_args(FGan.model_fields["divergence"].annotation)
Case = tuple[dict[str, Any], dict[str, Any]]
"""What `objective` says, and how `model` differs"""


def loss(kind: str, **keys: str) -> Case:
    """A loss alone."""
    return {"loss": {"kind": kind, **keys}, "penalties": []}, {}


def penalised(kind: str, **keys: object) -> Case:
    """One penalty."""
    return {"loss": "nonsaturating", "penalties": [{"kind": kind, "weight": 0.1, **keys}]}, {}


CASES: dict[str, Case] = {
    **{kind: loss(kind) for kind in ("minimax", "nonsaturating", "wgan", "lsgan", "hinge")},
    "smoothed": loss("minimax", smoothing="0.1"),
    **{f"{kind} {base}": loss(kind, base=base) for kind in ("rgan", "ragan") for base in BASES},
    **{f"fgan {each}": loss("fgan", divergence=each) for each in DIVERGENCES},
    **{kind: (loss(kind)[0], ENERGY) for kind in ("ebgan", "began")},
    **{
        kind: penalised(kind)
        for kind in ("gradient", "drift", "r1", "r2", "dragan", "js_regularizer", "orthogonal",
                     "historical_average", "consensus", "feature_matching", "pulling_away",
                     "mode_regularizer")
    },
    "one-sided": penalised("gradient", one_sided=True),
    "lazy": penalised("r1", interval=2),
}  # fmt: skip
