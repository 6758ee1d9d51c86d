"""What terms remember, against the papers' recursions in NumPy."""

import numpy as np
import pytest
import torch
from torch import nn

from progan.stages.objectives.adversarial_term import BeganLoss
from progan.stages.objectives.historical_average import HistoricalAveraging
from progan.stages.objectives.objective import make_terms, restore, state
from progan.stages.specs.losses import Began
from progan.stages.specs.objective import ObjectiveSpec
from progan.stages.specs.penalties import HistoricalAverage

BEGAN = Began(kind="began", gamma=0.7, lambda_k=0.2)
AVERAGE = HistoricalAverage(kind="historical_average", weight=1, networks=("generator",))


def test_weights_are_held_near_the_mean_of_all_that_they_were() -> None:
    torch.manual_seed(0)
    network = nn.Linear(3, 2).double()
    term = HistoricalAveraging(AVERAGE, {"generator": network})
    past = []
    for _ in range(4):
        past.append(np.concatenate([p.detach().numpy().ravel() for p in network.parameters()]))
        term.before_update("generator", network)
        distance = term.distance("generator", network)
        excess = past[-1] - np.mean(past, axis=0)
        assert distance.item() == pytest.approx((excess**2).sum(), rel=1e-9, abs=1e-12)
        found = torch.autograd.grad(distance, list(network.parameters()))
        slope = np.concatenate([g.numpy().ravel() for g in found])
        np.testing.assert_allclose(slope, 2 * excess, 1e-7, atol=1e-12)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(torch.randn_like(parameter))


def test_began_weighs_fakes_by_the_balance_so_far() -> None:
    term = BeganLoss(ObjectiveSpec(loss=BEGAN, penalties=()), torch.device("cpu"))
    real, fake = -torch.rand(5, dtype=torch.float64), -torch.rand(5, dtype=torch.float64)
    k = 0.0
    for of_reals, of_fakes in [(0.8, 0.1), (0.9, 0.2), (0.1, 0.9), (5.0, 0.0), (0.1, 2.0)]:
        torch.testing.assert_close(term.loss.discriminator(real, fake), -real - k * -fake)
        torch.testing.assert_close(term.loss.generator(real, fake), -fake)
        means = {"real_logits": -of_reals, "generator_logits": -of_fakes, "other": 9.0}
        logged = term.after_step(
            {name: torch.tensor(mean, dtype=torch.float64) for name, mean in means.items()}
        )
        k = float(np.clip(k + 0.2 * (0.7 * of_reals - of_fakes), 0, 1))
        convergence = of_reals + abs(0.7 * of_reals - of_fakes)
        found = {name: float(value) for name, value in logged.items()}
        assert found == pytest.approx({"began_k": k, "began_convergence": convergence}, abs=1e-12)


def test_what_is_stored_comes_back() -> None:
    spec = ObjectiveSpec(loss=BEGAN, penalties=(AVERAGE,))
    network = nn.Linear(3, 2)
    terms, others = (make_terms(spec, {"generator": network}) for _ in range(2))
    stored = {name: torch.randn(value.shape) for name, value in state(terms).items()}
    restore(others, stored)
    restored = state(others)
    assert {"began.k", "historical_average.generator.weight"} < stored.keys() == restored.keys()
    for name, value in restored.items():
        assert torch.equal(value, stored[name].to(value.dtype))
