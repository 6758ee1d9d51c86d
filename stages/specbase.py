"""What all specs have in common; no torch."""

from pydantic import BaseModel, ConfigDict


class Spec(BaseModel):
    """Base of the specs: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
