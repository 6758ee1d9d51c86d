"""Every loss and penalty, and mixtures of them, as a configuration names them."""

from typing import Any, get_args

from progan.datasets.synthetic import SHAPES
from progan.stages.specs.losses import FGan

SHAPE = {"latent": 16, "fmap_base": 64, "fmap_max": 16}
ENERGY = {"discriminator": {"head": "autoencoder", "minibatch": "none"}}
ENCODER = {"resolution": 8, "fmap_base": 64, "fmap_max": 8, "sha256": ""}
"""Shape of a frozen encoder"""
BOTH = ["generator", "discriminator"]
ATTENTIVE = {"attention": (8, 16)}
BASES = ("nonsaturating", "lsgan", "hinge")
DIVERGENCES = get_args(FGan.model_fields["divergence"].annotation)
Case = tuple[dict[str, Any], dict[str, Any]]
"""Values of a configuration's `objective`, and of its `model` beyond SHAPE"""


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
                     "historical_average", "consensus", "gradient_norm", "feature_matching",
                     "pulling_away", "mode_regularizer")
    },
    "one-sided": penalised("gradient", one_sided=True),
    "lazy": penalised("r1", interval=2),
}  # fmt: skip

MIXTURES: dict[str, Case] = {
    "normalised": (
        {
            "loss": "hinge",
            "penalties": [
                {"kind": "spectral_norm", "networks": BOTH},
                {"kind": "dragan", "weight": 10, "interval": 2},
                {"kind": "orthogonal", "weight": 0.001, "networks": BOTH},
            ],
        },
        {
            "classes": len(SHAPES),
            "generator": ATTENTIVE,
            "discriminator": ATTENTIVE | {"head": "projection", "minibatch": "none"},
        },
    ),
    "clipped": (
        {
            "penalties": [
                {"kind": "weight_clip", "bound": 0.1},
                {"kind": "historical_average", "weight": 0.01, "networks": BOTH},
                {"kind": "feature_matching", "weight": 1},
            ],
            "critics": "hardest",
            "critic_steps": 2,
        },
        {"discriminator": {"critics": 2}, "generator": {"norm": "batch", "norm_group": 2}},
    ),
    "encoder": (
        {
            "loss": {"kind": "rgan", "base": "nonsaturating"},
            "penalties": [
                {"kind": "mode_regularizer", "interval": 2},
                {"kind": "mode_regularizer", "distance": "features"},
                {"kind": "spectral_norm", "networks": BOTH},
            ],
            "critics": "hardest",
            "critic_steps": 2,
        },
        {
            "classes": len(SHAPES),
            "discriminator": {"critics": 2, "head": "projection", "attention": (8,)},
        },
    ),
    "consensus, acgan": (
        {"loss": "nonsaturating", "penalties": [{"kind": "consensus", "weight": 0.1}]},
        {"classes": len(SHAPES), "discriminator": {"head": "acgan"}},
    ),
    "stacked": (
        {
            "loss": "hinge",
            "penalties": [
                {"kind": "spectral_norm", "networks": BOTH},
                {"kind": "orthogonal", "weight": 0.001, "networks": BOTH},
            ],
        },
        {},
    ),
    "began, pulling away": (
        {
            "loss": {"kind": "began", "lambda_k": 0.1},
            "penalties": [{"kind": "pulling_away", "weight": 0.1}],
        },
        {"discriminator": {"head": "autoencoder", "minibatch": "none"}},
    ),
    "codes": (
        {"loss": {"kind": "ragan"}, "penalties": [{"kind": "r1", "weight": 1}]},
        {
            "generator": {
                "codes": {"categorical": (3,), "continuous": 1},
                "norm": "virtual_batch",
            },
            "discriminator": {
                "head": "infogan",
                "minibatch": "discrimination",
                "norm": "layer",
            },
        },
    ),
    "generators": (
        {"loss": "nonsaturating", "penalties": [{"kind": "gradient_norm", "weight": 0.1}]},
        {
            "generators": 3,
            "classes": len(SHAPES),
            "discriminator": {"head": "projection"},
        },
    ),
    "representative": (
        {
            "loss": "hinge",
            "penalties": [
                {"kind": "spectral_norm", "networks": BOTH},
                {"kind": "r1", "weight": 1},
                {"kind": "feature_matching", "weight": 0.1},
            ],
        },
        {
            "classes": len(SHAPES),
            "discriminator": {"representative": ENCODER, "critics": 2, "head": "projection"},
        },
    ),
    "dcgan": (
        {"loss": "nonsaturating", "penalties": []},
        {
            "arch": "dcgan",
            "generator": {"norm": "batch", "norm_group": 4, "reference": 8},
            "discriminator": {"norm": "batch", "norm_group": 4, "minibatch": "none"},
        },
    ),
}
"""Several at once, with the heads, norms and training modes that they meet in"""

AUGMENT: dict[str, dict[str, Any]] = {
    "diffaugment": {"kind": "diffaugment"},
    "ada": {"kind": "ada", "kimg": 0.128, "interval": 2},
}
"""By case; with two steps of 16 images ada's p moves by a quarter"""
AUGMENTED: dict[str, Case] = {
    "diffaugment": (
        {
            "loss": "ragan",
            "penalties": [{"kind": "mode_regularizer"}, {"kind": "r1", "weight": 1}],
            "critic_steps": 2,
            "replay": {"size": 48},
        },
        {"discriminator": {"critics": 2}},
    ),
    "ada": (
        {
            "loss": {"kind": "lsgan", "a": -5.0},  # all logits are above the middle: p rises
            "penalties": [
                {"kind": "consensus", "weight": 0.1},
                {"kind": "gradient", "weight": 1},
                {"kind": "feature_matching", "weight": 0.1},
            ],
        },
        {},
    ),
}
"""What meets an augmentation"""

PAPER: dict[str, Any] = {}
MODELS: dict[str, Case] = {
    "paper": (PAPER, {}),
    "pytorch_GAN_zoo": (PAPER, {"variant": "pytorch_gan_zoo"}),
    "pro_gan_pytorch": (PAPER, {"variant": "pro_gan_pytorch"}),
    "norm layer": (PAPER, {"discriminator": {"norm": "layer"}}),
    "norm batch": (loss("wgan")[0], {"discriminator": {"norm": "batch", "norm_group": 4}}),
    "norm none": (PAPER, {"generator": {"norm": "none"}}),
    "virtual batch norm": (PAPER, {"generator": {"norm": "virtual_batch"}}),
    "attention": (PAPER, {"generator": ATTENTIVE, "discriminator": ATTENTIVE}),
    "minibatch discrimination": (PAPER, {"discriminator": {"minibatch": "discrimination"}}),
    "three critics": ({"critics": "hardest"}, {"discriminator": {"critics": 3}}),
    "energy with a penalty": (
        {"loss": "ebgan", "penalties": [{"kind": "gradient", "weight": 1}]},
        ENERGY,
    ),
    "acgan, dragan": (
        {"loss": "nonsaturating", "penalties": [{"kind": "dragan", "weight": 10}]},
        {"classes": len(SHAPES), "discriminator": {"head": "acgan"}},
    ),
    "unrolled": ({"loss": "nonsaturating", "penalties": [], "unrolled": 2}, {}),
    "unrolled with a penalty": (
        {
            "loss": "nonsaturating",
            "penalties": [{"kind": "gradient", "weight": 10}],
            "unrolled": 2,
        },
        {},
    ),
    "replay": ({"replay": {"size": 64, "share": 0.5}}, {}),
    "dcgan with layer norm": (
        PAPER,
        {
            "arch": "dcgan",
            "generator": {"norm": "none"},
            "discriminator": {"norm": "layer", "minibatch": "none"},
        },
    ),
}
"""Networks and ways of updating that the others leave out"""
