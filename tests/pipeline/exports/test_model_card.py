"""Names of classes come from outside: in a model card they are text, whatever they hold."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt
from ruamel.yaml import YAML

from networks import published
from progan.pipeline.exports.bundle import write_bundle
from progan.pipeline.exports.hugging_face import CardDetails, write_hugging_face
from progan.stages.metrics.evaluation import Result

NAMES = {
    "cat": "cat",
    "<script>alert(1)</script>": "<script>alert(1)</script>",
    "![x](http://a.example/x.png)": "![x](http://a.example/x.png)",
    "[x](javascript:alert(1))": "[x](javascript:alert(1))",
    "https://a.example": "https://a.example",
    "a | b": "a | b",
    "`` ` <b>": "`` ` <b>",
    "a\n\n---\nlicense: mit\n": "a��---�license: mit�",
    "\x1b[31mred\u202e": "�[31mred�",
    "{settings} **bold** &amp; \\": "{settings} **bold** &amp; \\",
    "x" * 999: "x" * 80,
}
"""Names, and what a reader of the card sees"""


def card(tmp_path: Path, names: tuple[str, ...]) -> str:
    networks = published(tmp_path / "final", classes=len(names))
    (tmp_path / "bundle").mkdir()
    (tmp_path / "out").mkdir()
    write_bundle(replace(networks, classes=names), "ema", tmp_path / "bundle")
    write_hugging_face(tmp_path / "bundle", tmp_path / "out")
    return (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> str:
    return card(tmp_path_factory.mktemp("card"), tuple(NAMES))


def test_names_are_shown_as_they_are(hostile: str) -> None:
    body = hostile.split("\n---\n", 1)[1]
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(body)
    cells = [token for token in tokens if token.type == "inline" and "one-hot" in token.content]
    shown = [
        part.content for cell in cells for part in cell.children or [] if part.type == "code_inline"
    ]
    assert [text.strip() for text in shown] == [name.strip() for name in NAMES.values()]


def test_names_add_no_markup(hostile: str) -> None:
    body = hostile.split("\n---\n", 1)[1]
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(body)
    assert re.findall(r'src="([^"]*)"', html) == ["samples.png"]
    assert re.findall(r'href="([^"]*)"', html) == ["https://arxiv.org/abs/1710.10196"]
    assert "<script" not in html and "<b>" not in html and "license" not in hostile[:200]
    assert all(row.count("<td>") == 2 for row in re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL)[1:])
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e]", hostile)


def test_front_matter_is_a_yaml_map(hostile: str) -> None:
    fields = YAML(typ="safe").load(hostile.split("---\n")[1])
    tags = ["progan", "pggan", "gan", "conditional-image-generation"]
    assert fields == {"library_name": "pytorch", "tags": tags}


def test_metrics_and_licence_are_read_by_the_hub(tmp_path: Path) -> None:
    networks = published(tmp_path / "final")
    result = Result(metric="swd", at=8, images=2048, values={"swd_8": 12.5, "swd_mean": 12.5})
    details = CardDetails("user/shapes", "cc-by-4.0", "drawn", (result,))
    (tmp_path / "bundle").mkdir()
    (tmp_path / "out").mkdir()
    write_bundle(networks, "ema", tmp_path / "bundle")
    write_hugging_face(tmp_path / "bundle", tmp_path / "out", details)
    data = ModelCard.load(tmp_path / "out" / "README.md").data
    assert (data.license, data.pipeline_tag) == ("cc-by-4.0", "unconditional-image-generation")
    found = {r.metric_type: (r.metric_value, r.dataset_name) for r in data.eval_results or []}
    assert found == {"swd_8": (12.5, "drawn"), "swd_mean": (12.5, "drawn")}
    assert 'from_pretrained("user/shapes")' in (tmp_path / "out" / "README.md").read_text()


def test_only_the_first_of_many_names_are_listed(tmp_path: Path) -> None:
    text = card(tmp_path, tuple(f"name{number}" for number in range(25)))
    assert "` name19 `, and 5 more" in text and "name20" not in text
