"""What all specs have in common; no torch."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Spec(BaseModel):
    """Base of the specs: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def named(value: Any) -> Any:
    """A choice whose own keys are left as they are may be written as its name alone."""
    return {"kind": value} if isinstance(value, str) else value
