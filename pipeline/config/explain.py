"""Turns a validation error into a one-line message."""

import difflib
from collections.abc import Sequence
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from progan.pipeline.config.secrets import has_credentials
from progan.pipeline.config.texts import CREDENTIALS

SECRET = "secret"
"""Type of an error whose input must not be shown"""


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """The first error: its dotted key, the reason, and for an unknown key the likely one."""
    first, *others = error.errors()
    names, fields = _named(first, model)
    key = ".".join(names)
    if first["type"] == "extra_forbidden":
        text = f"{key}: unknown key"
        close = difflib.get_close_matches(names[-1], fields, n=1)
        text += (
            f", did you mean {'.'.join([*names[:-1], *close])}?"
            if close
            else (f"; known here: {', '.join(fields)}" if fields else "")
        )
    elif first["type"] == "union_tag_invalid":
        known, named = first["ctx"]["expected_tags"], first["ctx"]["tag"]
        text = f"{key}: input should be one of {known}, not {named!r}"
    elif first["type"] == "union_tag_not_found":
        text = f"{key}.kind: missing, it has no default; add {key}.kind=VALUE"
    elif first["type"] == "missing":
        key = ".".join([*names, *_required(first["loc"], model)])
        text = f"{key}: missing, it has no default; add {key}=VALUE"
    elif first["type"] == "model_type" and fields:
        text = f"{key}: is a group of keys ({', '.join(fields)}); set {key}.{fields[0]}=VALUE"
    else:
        message = first["msg"].removeprefix("Value error, ")
        text = f"{key}: {message[:1].lower()}{message[1:]}"
        secret = first["type"] == SECRET or names[:2] == ["launch", "env"]
        if not isinstance(first["input"], dict) and not secret:
            shown = repr(first["input"])
            text = f"{key}: {CREDENTIALS}" if has_credentials(shown) else f"{text}, not {shown}"
    more = {".".join(_named(other, model)[0]) for other in others} - {key, ""}
    return text + (f" (also wrong: {', '.join(sorted(more))})" if more else "")


def _below(here: Any, part: int | str) -> tuple[Any, bool]:
    """The type that one step of a location leads to, and whether the step is a union's tag."""
    here = _optional(_plain(here))
    if isinstance(here, type) and issubclass(here, BaseModel):
        field = here.model_fields.get(str(part))
        return (field.annotation if field else None), False
    for member in get_args(here):
        kind = getattr(member, "model_fields", {}).get("kind")
        if kind and part in get_args(kind.annotation):
            return member, True
    return (get_args(here)[0] if get_origin(here) is tuple else None), False


def _required(loc: Sequence[int | str], model: type[BaseModel]) -> list[str]:
    """The first key without a default of a missing group; nothing if no group is missing."""
    here: Any = model
    for part in loc:
        here = _optional(_plain(_below(here, part)[0]))
    fields = here.model_fields if isinstance(here, type) and issubclass(here, BaseModel) else {}
    return [name for name, field in fields.items() if field.is_required() and name != "root"][:1]


def _plain(here: Any) -> Any:
    """A type without its annotations."""
    return get_args(here)[0] if get_origin(here) is Annotated else here


def _optional(here: Any) -> Any:
    """What a type is if it is not None."""
    members = get_args(here)
    others = [member for member in members if member is not type(None)]
    return _plain(others[0]) if len(others) == 1 < len(members) else here


def _named(error: ErrorDetails, model: type[BaseModel]) -> tuple[list[str], list[str]]:
    """`_key` of an error; an unknown key may have any name."""
    if error["type"] != "extra_forbidden":
        return _key(error["loc"], model)
    *parents, unknown = error["loc"]
    names, fields = _key(parents, model)
    return [*names, str(unknown)], fields


def _key(loc: Sequence[int | str], model: type[BaseModel]) -> tuple[list[str], list[str]]:
    """The keys of an error's location as a user types them, and the keys known at the last step."""
    names: list[str] = []
    fields: list[str] = list(model.model_fields)
    here: Any = model
    for part in loc:
        if isinstance(part, str) and not part.replace("_", "").isalnum():
            break  # pydantic's name for a member of a union
        here, tag = _below(here, part)
        if not tag:
            names.append(str(part))
        if isinstance(here, type) and issubclass(here, BaseModel):
            fields = list(here.model_fields)
    return names, fields
