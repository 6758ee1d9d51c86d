"""Names and values as MLflow accepts them (mlflow.utils.validation), from any text.

What MLflow refuses becomes a dash. What is too long is cut, and ends in a checksum of the whole.
"""

import hashlib
import posixpath
import re

from progan.pipeline.config.printable import printable

MAX_KEY, MAX_RUN_NAME, MAX_EXPERIMENT, MAX_MODEL = 250, 250, 256, 256
"""Characters that MLflow's databases have for names"""
MAX_PARAM, MAX_TAG = 6000, 8000
DIGEST = 8


def run_name(text: str) -> str:
    """A run's name."""
    return _short(printable(text), MAX_RUN_NAME)


def experiment_name(text: str) -> str:
    """An experiment's name."""
    return _short(printable(text), MAX_EXPERIMENT)


def model_name(text: str) -> str:
    """A registered model's name, which also fits into models:/NAME/1 and a search."""
    return _short(re.sub(r"[^\w .-]", "-", text).strip(" .") or "model", MAX_MODEL)


def logged_model_name(text: str) -> str:
    """The name of a model that a run has made."""
    return model_name(text.replace(".", "-"))


def key(text: str) -> str:
    """The name of a tag, a parameter or a metric; slashes separate groups."""
    path = posixpath.normpath(re.sub(r"[^\w./ -]", "-", text)).lstrip("/")
    return _short(re.sub(r"^\.\.|^\.?$", "-", path), MAX_KEY)


def params(texts: dict[str, str]) -> dict[str, str]:
    """Parameters."""
    return {key(name): _short(printable(text), MAX_PARAM) for name, text in texts.items()}


def tags(texts: dict[str, str]) -> dict[str, str]:
    """Tags."""
    return {key(name): _short(printable(text), MAX_TAG) for name, text in texts.items()}


def _short(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:DIGEST]
    return f"{text[: limit - DIGEST - 1]}-{digest}"
