"""The example in CONTRIBUTING.md is whole: applied to the sources, it trains."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = """
import torch
from objective_of import discriminator_objective
from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.generator import Generator
from progan.stages.specs.model import ModelSpec
from progan.stages.specs.objective import ObjectiveSpec
model = ModelSpec(latent=8, fmap_base=32, fmap_max=8)
asked = {"loss": {"kind": "exponential", "temperature": 2}, "penalties": []}
batch = torch.randn(4, 3, 4, 4), torch.randn(4, 8), torch.rand(4)
networks = Generator(model, 4), Discriminator(model, 4)
loss = discriminator_objective(*networks, *batch, 1.0, ObjectiveSpec.model_validate(asked)).loss
real, fake = (networks[1](x) for x in (batch[0], networks[0](batch[1])))
torch.testing.assert_close(loss, (torch.exp(-real / 2) + torch.exp(fake / 2)).mean())
"""


def test_the_example_loss_needs_one_spec_and_one_formula(tmp_path: Path) -> None:
    (example,) = re.findall(r"```diff\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.S)
    assert set(re.findall(r"^\+\+\+ b/(.*)$", example, re.M)) == {
        "stages/specs/losses.py",
        "stages/objectives/adversarial.py",
    }
    for folder in ("stages", "datasets"):
        shutil.copytree(ROOT / folder, tmp_path / "progan" / folder)
    apply = ["git", "apply", "-C1", "--directory=progan", "-"]
    subprocess.run(apply, cwd=tmp_path, input=example, text=True, check=True)
    paths = os.pathsep.join([str(tmp_path), str(ROOT / "tests" / "helpers")])
    subprocess.run(
        [sys.executable, "-c", PROGRAM], env=os.environ | {"PYTHONPATH": paths}, check=True
    )
