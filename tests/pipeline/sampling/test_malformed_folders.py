"""Folders of networks that are damaged or malicious: one line, and nothing is loaded or drawn."""

import hashlib
import json
import shutil
import struct
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor

from networks import published
from progan.pipeline.cli.main import EXIT_DATA, EXIT_USAGE, exit_code
from progan.pipeline.errors import ConfigError
from progan.pipeline.exports import standalone_generator
from progan.pipeline.exports.bundle import write_bundle
from progan.pipeline.exports.export import export_from
from progan.pipeline.sampling.generate import load_generator
from progan.stages.errors import NetworksError, NoNetworksError
from progan.stages.networks.generator import Generator
from progan.stages.specs.stage import InitSpec
from progan.stages.storage.handoff import start_from
from progan.stages.storage.pretrained import read_published

CONV = "blocks.4.conv.weight"


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    write_bundle(published(tmp_path_factory.mktemp("run") / "final"), "ema", folder)
    return folder


@pytest.fixture
def folder(export: Path, tmp_path: Path) -> Path:
    """An export, to be damaged."""
    return shutil.copytree(export, tmp_path / "model")


def rewrite(folder: Path, weights: bytes | None = None, **fields: Any) -> None:
    """Replace the weights, with a valid checksum, or fields of the document; None removes them."""
    document = json.loads((folder / "generator.json").read_text())
    if weights is not None:
        (folder / "generator.safetensors").write_bytes(weights)
        document["sha256"] = hashlib.sha256(weights).hexdigest()
    for path, value in fields.items():
        *parents, key = path.split("__")
        target = document
        for parent in parents:
            target = target[parent]
        target[key] = value
    kept = {key: value for key, value in document.items() if value is not None}
    (folder / "generator.json").write_text(json.dumps(kept))


def assert_refused(folder: Path, says: str) -> None:
    with pytest.raises(NetworksError, match=says) as caught:
        load_generator(folder)
    nothing_there = isinstance(caught.value, NoNetworksError)
    assert exit_code(caught.value) == (EXIT_USAGE if nothing_there else EXIT_DATA)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "has no generator.json"),
        (b"", "Invalid JSON"),
        (b"{", "Invalid JSON"),
        (b"[" * 100_000, "Invalid JSON"),
        (b"[1]", "should be an object"),
    ],
)
def test_damaged_document_is_refused(folder: Path, content: bytes | None, says: str) -> None:
    (folder / "generator.json").unlink()
    if content is not None:
        (folder / "generator.json").write_bytes(content)
    assert_refused(folder, says)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("model", None, "model: Field required"),
        ("color", 1, "color: Extra inputs"),
        ("resolution", "big", "resolution: "),
        ("resolution", -8, "must be a power of two from 4 to 1024"),
        ("resolution", 6, "must be a power of two"),
        ("resolution", 10**30, "must be a power of two"),
        ("images_seen", -1, "images_seen: "),
        ("model__latent", 0, "model.latent: "),
        ("model__latent", 10**12, "does not fit"),
        ("model__latent", 10**30, "no generator has the shape"),
        ("model__fmap_max", 10**12, "does not fit"),
        ("model__generator", {"norm": "batch", "reference": 10**12}, "does not fit"),
        ("model__fmap_base", 1, "no generator has the shape"),
        ("classes", ["a", "b"], "2 names for 0 classes"),
        ("file", "../other/generator.safetensors", "file: String should match"),
        ("file", "/etc/passwd", "file: String should match"),
        ("file", "a\\b.safetensors", "file: String should match"),
        ("file", "", "file: String should match"),
        ("file", "..", "file: String should match"),
        ("file", "generator.onnx", "which progan writes but does not read"),
        ("file", "other.safetensors", "is missing or damaged"),
    ],
)
def test_document_that_claims_the_impossible_is_refused(
    folder: Path, field: str, value: Any, says: str
) -> None:
    rewrite(folder, **{field: value})
    assert_refused(folder, says)


def header(fields: Any) -> bytes:
    text = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    return struct.pack("<Q", len(text)) + text


def entry(shape: list[int], begin: int, end: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


MALFORMED: dict[str, bytes] = {
    "empty": b"",
    "four bytes": b"1234",
    "header of absurd length": struct.pack("<Q", 1 << 62) + b"{}",
    "header that is no JSON": header(b"{oops"),
    "header that is a list": header([1]),
    "header that is nested": header(b"[" * 100_000),
    "entry that is no map": header({CONV: "x"}),
    "no tensors": header({}),
    "unknown type": header({CONV: entry([1], 0, 4, "Q9")}) + bytes(4),
    "shape larger than the file": header({CONV: entry([10**12], 0, 4)}) + bytes(4),
    "negative shape": header({CONV: entry([-1], 0, 4)}) + bytes(4),
    "offset outside the file": header({CONV: entry([100], 0, 400)}) + bytes(4),
    "negative offset": header({CONV: entry([1], -4, 0)}) + bytes(4),
    "tensors that share their bytes": header(
        {f"t{number}": entry([1 << 18], 0, 1 << 20) for number in range(9000)}
    )
    + bytes(1 << 20),
}


@pytest.mark.parametrize("weights", MALFORMED.values(), ids=MALFORMED)
def test_malformed_weights_are_refused(folder: Path, weights: bytes) -> None:
    rewrite(folder, weights)
    assert_refused(folder, "generator.safetensors")
    with pytest.raises(
        ValueError, match=r"generator.safetensors holds no generator, or is damaged"
    ):
        standalone_generator.load(folder / "generator.safetensors")


def changed(tensors: dict[str, Tensor], change: str) -> dict[str, Tensor]:
    """One tensor is changed, or missing, or another one added."""
    conv = tensors[CONV]
    added = {"spare": {"spare": conv[0].clone()}, "word": {"to_rgb.x.bias": conv[0].clone()}}.get(
        change, {}
    )
    replaced = {
        "shape": conv[:, :3],
        "nan": conv * float("nan"),
        "infinite": conv / 0,
        "int": conv.int(),
    }.get(change, conv)
    kept = {name: value for name, value in tensors.items() if (name, change) != (CONV, "missing")}
    return kept | added | ({} if change == "missing" else {CONV: replaced.contiguous()})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("missing", rf"float32 \(16, 16, 3, 3\) expected, nothing found, first {CONV}"),
        ("spare", r"nothing expected, torch.float32 \(16, 3, 3\) found, first spare"),
        ("shape", r"expected, torch.float32 \(16, 3, 3, 3\) found"),
        ("int", r"expected, torch.int32 \(16, 16, 3, 3\) found"),
        ("nan", f"NaN or infinite values, first in {CONV}"),
        ("infinite", "NaN or infinite values"),
    ],
)
def test_weights_of_another_network_are_refused(folder: Path, change: str, says: str) -> None:
    tensors = load((folder / "generator.safetensors").read_bytes())
    rewrite(folder, save(changed(tensors, change)))
    assert_refused(folder, says)
    networks = read_published(folder)
    init = InitSpec(path=folder, sha256=networks.fingerprint)
    with pytest.raises(NetworksError, match=says):
        start_from({"generator": Generator(networks.model, 8)}, init)


@pytest.mark.parametrize("change", ["missing", "word", "shape", "int", "nan", "infinite"])
def test_generator_py_refuses_weights_of_no_generator(folder: Path, change: str) -> None:
    path = folder / "generator.safetensors"
    path.write_bytes(save(changed(load(path.read_bytes()), change)))
    with pytest.raises(ValueError, match="holds no generator, or is damaged") as caught:
        standalone_generator.load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "metadata",
    [
        {"classes": "{"},
        {"classes": "5"},
        {"classes": json.dumps([str(number) for number in range(100)])},
        {"codes": "[]"},
        {"codes": '{"categorical": [-9], "continuous": 0}'},
        {"norm": "unheard-of"},
        {"arch": "dcgan"},
    ],
    ids=str,
)
def test_generator_py_refuses_malformed_settings(folder: Path, metadata: dict[str, str]) -> None:
    path = folder / "generator.safetensors"
    path.write_bytes(save(load(path.read_bytes()), metadata))
    with pytest.raises(ValueError, match="holds no generator, or is damaged"):
        standalone_generator.load(path)


def test_generator_py_exits_with_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "generator.safetensors"
    path.write_bytes(b"")
    words = ["generator.py", str(folder / "grid.png"), "--weights", str(path)]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as caught:
        standalone_generator.main()
    lines = capsys.readouterr().err.splitlines()
    assert (caught.value.code, len(lines)) == (3, 1) and str(path) in lines[0]
    assert not (folder / "grid.png").exists()


def test_generator_py_reads_other_float_types(folder: Path) -> None:
    path = folder / "generator.safetensors"
    whole = standalone_generator.load(path)
    path.write_bytes(
        save({name: value.double() for name, value in load(path.read_bytes()).items()})
    )
    latents = torch.randn(2, whole.inputs)
    assert torch.equal(standalone_generator.load(path)(latents), whole(latents))


def test_weights_may_be_a_link_as_in_the_hubs_cache(folder: Path, tmp_path: Path) -> None:
    (folder / "generator.safetensors").rename(tmp_path / "blob")
    (folder / "generator.safetensors").symlink_to("../blob")
    assert load_generator(folder).resolution == 8


@pytest.mark.parametrize("change", ["manifest is a list", "no average", "resolution", "one file"])
def test_malformed_final_folder_is_refused(tmp_path: Path, change: str) -> None:
    final = tmp_path / "final"
    published(final)
    manifest = json.loads((final / "manifest.json").read_text())
    if change == "manifest is a list":
        manifest = [1]
    elif change == "no average":
        (final / "ema.safetensors").unlink()
        del manifest["sha256"]["ema.safetensors"]
    elif change == "resolution":
        manifest["resolution"] = 0
    else:
        shutil.rmtree(final)
        final.touch()
    if final.is_dir():
        (final / "manifest.json").write_text(json.dumps(manifest))
    assert_refused(final, "final")


def test_export_of_a_folder_that_is_neither_run_nor_networks_is_wrong_usage(
    tmp_path: Path, folder: Path
) -> None:
    with pytest.raises(ConfigError, match="is neither a run .* nor a folder of networks"):
        export_from(folder, tmp_path / "out", None, formats=["safetensors"], weights="ema")
