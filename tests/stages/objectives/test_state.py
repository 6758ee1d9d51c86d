"""What objectives remember, against the papers' recursions in NumPy."""

import numpy as np
import pytest
import torch
from torch import nn

from progan.stages.objectives.adversarial import after_step, loss
from progan.stages.objectives.historical_average import distance, remember
from progan.stages.objectives.state import first, restore
from progan.stages.specs.losses import Began
from progan.stages.specs.objective import ObjectiveSpec
from progan.stages.specs.penalties import HistoricalAverage

BEGAN = Began(kind="began", gamma=0.7, lambda_k=0.2)
AVERAGE = HistoricalAverage(kind="historical_average", weight=1, networks=("generator",))


def test_weights_are_held_near_the_mean_of_all_that_they_were() -> None:
    torch.manual_seed(0)
    network = nn.Linear(3, 2).double()
    pieces = first(ObjectiveSpec(penalties=(AVERAGE,)), {"generator": network})
    past = []
    for _ in range(4):
        past.append(np.concatenate([p.detach().numpy().ravel() for p in network.parameters()]))
        remember("generator", network, pieces)
        term = distance("generator", network, pieces)
        excess = past[-1] - np.mean(past, axis=0)
        assert term.item() == pytest.approx((excess**2).sum(), rel=1e-9, abs=1e-12)
        found = torch.autograd.grad(term, list(network.parameters()))
        slope = np.concatenate([g.numpy().ravel() for g in found])
        np.testing.assert_allclose(slope, 2 * excess, 1e-7, atol=1e-12)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(torch.randn_like(parameter))


def test_began_weighs_fakes_by_the_balance_so_far() -> None:
    pieces = first(ObjectiveSpec(loss=BEGAN, penalties=()), {})
    real, fake = -torch.rand(5, dtype=torch.float64), -torch.rand(5, dtype=torch.float64)
    k = 0.0
    for of_reals, of_fakes in [(0.8, 0.1), (0.9, 0.2), (0.1, 0.9), (5.0, 0.0), (0.1, 2.0)]:
        sides = loss(BEGAN, pieces)
        torch.testing.assert_close(sides.discriminator(real, fake), -real - k * -fake)
        torch.testing.assert_close(sides.generator(real, fake), -fake)
        means = {"real_logits": -of_reals, "generator_logits": -of_fakes, "other": 9.0}
        said = after_step(
            BEGAN, pieces, {k: torch.tensor(v, dtype=torch.float64) for k, v in means.items()}
        )
        k = float(np.clip(k + 0.2 * (0.7 * of_reals - of_fakes), 0, 1))
        convergence = of_reals + abs(0.7 * of_reals - of_fakes)
        found = {name: float(value) for name, value in said.items()}
        assert found == pytest.approx({"began_k": k, "began_convergence": convergence}, abs=1e-12)


def test_what_is_stored_comes_back() -> None:
    spec = ObjectiveSpec(loss=BEGAN, penalties=(AVERAGE,))
    network = nn.Linear(3, 2)
    pieces, other = (first(spec, {"generator": network}) for _ in range(2))
    for value in pieces.values():
        value.copy_(torch.randn(value.shape))
    restore(other, pieces)
    assert other.keys() == pieces.keys()
    assert all(torch.equal(other[name], value) for name, value in pieces.items())
