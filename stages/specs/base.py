"""Base class of all specs; no torch."""

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

if TYPE_CHECKING:
    from progan.stages.specs.stage import StageSpec


class Spec(BaseModel):
    """Base of the specs: frozen, and an unknown key is an error."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )

    def conflicts(self, stage: "StageSpec") -> str | None:
        """Why it cannot be combined with the rest of its stage, and what to set; None if it can.

        The message begins with the configuration key.
        """
        return None


def first_problem(error: ValidationError) -> str:
    """The first problem of a document, in one line."""
    found = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, found["loc"]))[:100]
    return f"{where}: {found['msg']}" if where else found["msg"]


def named(value: Any) -> Any:
    """The name of a kind alone stands for that kind with its default keys."""
    return {"kind": value} if isinstance(value, str) else value
