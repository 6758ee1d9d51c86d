"""Base class of all specs; no torch."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Spec(BaseModel):
    """Base of the specs: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def named(value: Any) -> Any:
    """The name of a kind alone stands for that kind with its default keys."""
    return {"kind": value} if isinstance(value, str) else value
