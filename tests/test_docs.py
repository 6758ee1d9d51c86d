"""Files that documents and code mention exist."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TRACKED = [
    Path(name)
    for name in subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.split()
]  # fmt: skip
DOCUMENTS = [
    path
    for path in TRACKED
    if path.suffix == ".md" and "results" not in path.parts and path.name != "model_card.md"
]
LINK = re.compile(r"\]\((?![\w+]+:)([^)#]+)")
PATH = re.compile(
    r"\b(?:benchmarks|datasets|docs|launch|pipeline|stages|tests)/[\w/-]+\.[a-z]\w+\b"
)
MODULE = re.compile(r"\b[a-z]\w*\.py\b")
NOT_OURS = {
    "custom_layers.py",
    "dataset_tool.py",
    "modules.py",
    "networks.py",
    "progressive_conv_net.py",
    "stage_1_and_2.py",
}
"""Files of DeepSpeed, of the official code and of others whose checkpoints are imported"""


def test_links_in_documents_lead_to_files() -> None:
    for document in DOCUMENTS:
        for link in LINK.findall((ROOT / document).read_text()):
            assert (ROOT / document).parent.joinpath(link).exists(), f"{document}: {link}"


def test_source_files_that_documents_name_exist() -> None:
    """A path in the layout of runs, such as stages/0064/spec.json, is none of ours."""
    missing = [
        f"{document}: {path}"
        for document in DOCUMENTS
        for path in PATH.findall((ROOT / document).read_text())
        if Path(path) not in TRACKED and not path.startswith("stages/0")
    ]
    assert missing == []


def test_modules_that_code_names_exist() -> None:
    names = {path.name for path in TRACKED} | NOT_OURS
    missing = [
        f"{path}: {name}"
        for path in TRACKED
        if path.suffix == ".py" and path.parts[0] not in ("tests", "benchmarks")
        for name in MODULE.findall((ROOT / path).read_text())
        if name not in names
    ]
    assert missing == []
