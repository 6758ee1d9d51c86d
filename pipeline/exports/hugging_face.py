"""The Hugging Face export: a folder for the Hub, with a model card."""

import shutil
from pathlib import Path
from typing import NamedTuple

from progan.datasets.format.manifest import KINDS
from progan.pipeline.exports.bundle import write_document
from progan.pipeline.exports.markdown import code_spans
from progan.stages.metrics.evaluation import Result
from progan.stages.storage.pretrained import (
    DOCUMENT,
    WEIGHTS,
    ExportedGenerator,
    describe_inputs,
    read_exported,
)

CARD = Path(__file__).parent / "model_card.md"
GRID_SIDE = 4
UNCONDITIONAL, CONDITIONAL = "unconditional-image-generation", "conditional-image-generation"
"""The first is one of the Hub's pipelines; for classes it has none, so the second is a tag"""
TRAINING = "training.json"
ARCHITECTURES = {
    "progressive": {
        "tag": "pggan",
        "kind": "progressive-growing GAN",
        "paper": "Progressive Growing of GANs",
        "url": "https://arxiv.org/abs/1710.10196",
        "authors": "Karras et al., ICLR 2018",
    },
    "dcgan": {
        "tag": "dcgan",
        "kind": "DCGAN",
        "paper": "Unsupervised Representation Learning with Deep Convolutional GANs",
        "url": "https://arxiv.org/abs/1511.06434",
        "authors": "Radford et al., ICLR 2016",
    },
}
"""Fields of the model card, by `model.arch`"""


class CardDetails(NamedTuple):
    """What a model card says beside the generator itself."""

    repository: str = "USER/NAME"
    """Where it will be on the Hub"""
    license: str | None = None
    """The Hub's name of a licence, such as mit or cc-by-4.0"""
    dataset: str = ""
    """Name of the data set that `results` compare with"""
    results: tuple[Result, ...] = ()
    """Measured metrics of these weights"""


NO_DETAILS = CardDetails()


def write_hugging_face(model: Path, out: Path, details: CardDetails = NO_DETAILS) -> None:
    """Write README.md, config.json, model.safetensors, generator.py and a grid of samples.

    model: the safetensors export. ImportError if huggingface_hub is not installed.
    """
    import torch

    from progan.pipeline.exports.standalone_generator import load
    from progan.stages.images import grid, png
    from progan.stages.networks.conditioning import cycling_labels, with_conditions
    from progan.stages.rng import grid_latents

    document = read_exported(model / DOCUMENT).model_copy(update={"file": "model.safetensors"})
    shutil.copyfile(model / WEIGHTS, out / document.file)
    shutil.copyfile(model / "generator.py", out / "generator.py")
    write_document(out / "config.json", document)
    generator = load(model / WEIGHTS)
    latents = grid_latents(0, GRID_SIDE**2, document.model.noise)
    classes = document.model.classes
    latents = with_conditions(latents, cycling_labels(len(latents), classes), document.model)
    images = torch.cat([generator(batch) for batch in torch.split(latents, GRID_SIDE)])
    (out / "samples.png").write_bytes(png(grid(images, columns=GRID_SIDE)))
    parameters = sum(p.numel() for p in generator.parameters())
    architecture = ARCHITECTURES[document.model.arch]
    card = CARD.read_text(encoding="utf-8").format(
        front_matter=f"---\n{_metadata(document, details)}\n---",
        repository=details.repository,
        size=f"{document.resolution}x{document.resolution}",
        images=f"{document.images_seen:,}" if document.images_seen else "not known (imported)",
        average="the moving average of the generator's weights"
        if document.weights == "ema"
        else "the generator's weights as trained",
        parameters=f"{parameters:,}",
        classes_note=f", of the classes {code_spans(generator.classes)}" if classes else "",
        inputs=describe_inputs(document.model),
        pixels=KINDS[document.model.channels],
        alpha_note="; alpha: -1 transparent" if document.model.channels == 4 else "",
        settings=_settings(model / TRAINING),
        **architecture,
        **document.model.model_dump(),
    )
    (out / "README.md").write_text(card, encoding="utf-8")


def _metadata(document: ExportedGenerator, details: CardDetails) -> str:
    """The card's YAML, with metrics as the Hub's model-index."""
    from huggingface_hub import EvalResult, ModelCardData

    is_conditional = document.model.classes > 0
    task = CONDITIONAL if is_conditional else UNCONDITIONAL
    results = [
        EvalResult(
            task_type=task,
            dataset_type=details.dataset,
            dataset_name=details.dataset,
            metric_type=name,
            metric_value=value,
            metric_name=f"{name}, {result.images:,} pictures at {result.at}x{result.at}",
        )
        for result in details.results
        for name, value in result.values.items()
    ]
    tags = ["progan", ARCHITECTURES[document.model.arch]["tag"], "gan"]
    data = ModelCardData(
        library_name="pytorch",
        license=details.license,
        pipeline_tag=None if is_conditional else task,
        tags=[*tags, *([task] if is_conditional else [])],
        model_name=details.repository.rpartition("/")[2] if results else None,
        eval_results=results or None,
    )
    return str(data.to_yaml())


def _settings(training: Path) -> str:
    """The card's section with the run's configuration; empty without such a run."""
    if not training.is_file():
        return ""
    return f"\n## How it was trained\n\n```json\n{training.read_text(encoding='utf-8')}```\n"
