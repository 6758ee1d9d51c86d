"""What tests of importers need: the imported discriminator, malicious and refused files, and a
snapshot of the official code."""

import os
import pickle
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from progan.datasets.errors import DataError
from progan.pipeline.cli.main import EXIT_DATA, exit_code
from progan.pipeline.imports.formats import import_checkpoint
from progan.stages.networks.discriminator import Discriminator
from progan.stages.storage.pretrained import read_published
from progan.stages.storage.tensors import read_tensors


def imported_discriminator(folder: Path) -> Discriminator:
    """The discriminator in an import's folder."""
    networks = read_published(folder)
    discriminator = Discriminator(networks.model, networks.resolution)
    discriminator.load_state_dict(read_tensors(networks.files["discriminator"]))
    return discriminator.requires_grad_(False)


class Malicious:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


def assert_refused(path: Path, kind: str, says: str) -> None:
    """The import fails in one line that begins with the file's name, and writes nothing."""
    with pytest.raises(DataError) as caught:
        import_checkpoint(path, path.with_name("out"), kind, None)
    message = str(caught.value)
    assert says in message and message.startswith(f"{path}: "), message
    assert "\n" not in message and len(message) < 400
    assert exit_code(caught.value) == EXIT_DATA
    assert not path.with_name("out").exists()


FIELDS = {"num_channels": 3, "label_size": 0, "fmap_base": 64, "fmap_max": 16}
Values = dict[str, np.ndarray]
"""Of variables, by name"""


def nf(stage: int) -> int:
    """Feature maps, as networks.py has it for FIELDS."""
    return min(64 >> stage, 16)


class Network:
    """Pickled as tfutil.Network is."""

    def __init__(self, function: str, settings: dict[str, Any], values: Values) -> None:
        self.function, self.settings, self.values = function, settings, values

    def __getstate__(self) -> dict[str, Any]:
        return {"version": 2, "name": "G", "static_kwargs": self.settings,
                "build_module_src": "raise SystemExit('code was run')",
                "build_func_name": self.function,
                "variables": list(self.values.items())}  # fmt: skip


def layers(
    resolution: int, fused: bool, channels: int = 3
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Shapes of the weights of G and D, as networks.py makes them."""
    log = int(np.log2(resolution))
    g: dict[str, Any] = {"4x4/Dense": (16, nf(1) * 16), "4x4/Conv": (3, 3, nf(1), nf(1))}
    d: dict[str, Any] = {
        "4x4/Conv": (3, 3, nf(1) + 1, nf(1)),
        "4x4/Dense0": (16 * nf(1), nf(0)),
        "4x4/Dense1": (nf(0), 1),
    }
    for res in range(2, log + 1):
        g[f"ToRGB_lod{log - res}"] = (1, 1, nf(res - 1), channels)
        d[f"FromRGB_lod{log - res}"] = (1, 1, channels, nf(res - 1))
        if res > 2:
            size, new, old = f"{2**res}x{2**res}", nf(res - 1), nf(res - 2)
            g[f"{size}/Conv0_up" if fused else f"{size}/Conv0"] = (
                (3, 3, new, old) if fused else (3, 3, old, new)
            )
            g[f"{size}/Conv1"] = (3, 3, new, new)
            d[f"{size}/Conv0"] = (3, 3, new, new)
            d[f"{size}/Conv1_down" if fused else f"{size}/Conv1"] = (3, 3, new, old)
    return g, d


def random_weights(shapes: dict[str, Any], lod: float, seed: int) -> Values:
    """Normal variables of these shapes."""
    rng = np.random.default_rng(seed)
    values: Values = {"lod": np.float32(lod)}  # type: ignore[dict-item]
    for name, shape in shapes.items():
        per_map = {"4x4/Dense": nf(1)}
        out = shape[2] if "_up" in name else per_map.get(name, shape[-1])
        values[f"{name}/weight"] = rng.standard_normal(shape).astype(np.float32)
        values[f"{name}/bias"] = rng.standard_normal(out).astype(np.float32)
    return values


def save_pickle(
    path: Path, monkeypatch: pytest.MonkeyPatch, resolution: int, lod: float = 0, **settings: Any
) -> tuple[Values, Values]:
    """A snapshot of random networks; returns the variables of Gs and D."""
    fields = FIELDS | {"resolution": resolution} | settings
    g, d = layers(resolution, fields.get("fused_scale", True), fields["num_channels"])
    values = [random_weights(g, lod, 0), random_weights(d, lod, 1), random_weights(g, lod, 2)]
    module = types.ModuleType("tfutil")
    monkeypatch.setattr(Network, "__module__", "tfutil")
    module.Network = Network  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tfutil", module)
    functions = ("G_paper", "D_paper", "G_paper")
    networks = tuple(Network(f, fields, v) for f, v in zip(functions, values, strict=True))
    path.write_bytes(pickle.dumps(networks, protocol=4))
    return values[2], values[1]
