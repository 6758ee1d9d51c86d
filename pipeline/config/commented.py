"""A configuration as YAML that explains itself: each key under its docstring and its choices."""

import inspect
import textwrap
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel

from progan.pipeline.config.yaml_io import plain, yaml_block
from progan.stages.specs.by_resolution import DEFAULT, ByResolution

WIDTH = 100
INDENT = "  "
DISCRIMINATOR = "kind"
"""Key that says which class a group with a choice of classes is of"""


def commented_yaml(config: BaseModel) -> str:
    """The configuration with all its defaults, as a CONFIG that loads to the same."""
    return "\n".join(_lines(config, "")).lstrip() + "\n"


def choices(annotation: Any) -> str:
    """The values that a field accepts, as a sentence, if it accepts only named ones."""
    values = [each for each in _alternatives(annotation) if each is not type(None)]
    if all(get_origin(each) is Literal for each in values):
        word, named = "One of", [value for each in values for value in get_args(each)]
        if get_origin(annotation) is tuple:
            word = "Any of"
    elif len(values) > 1 and all(_kinds(each) for each in values):
        word, named = "Kinds", [kind for each in values for kind in _kinds(each)]
    else:
        return ""
    return f"{word}: {', '.join(map(str, named))}."


def explanation(group: type[BaseModel], name: str) -> str:
    """What a key means, in one paragraph; empty for a key without a docstring."""
    return " ".join((group.model_fields[name].description or "").split())


def _alternatives(annotation: Any) -> Iterator[Any]:
    """The members of a union, of a tuple's items, or of a value by resolution."""
    if isinstance(annotation, type) and issubclass(annotation, ByResolution):
        yield from _alternatives(annotation.__pydantic_generic_metadata__["args"][0])
    elif get_origin(annotation) in (Annotated, tuple):
        yield from _alternatives(get_args(annotation)[0])
    elif get_args(annotation) and get_origin(annotation) not in (Literal, dict, list):
        for member in get_args(annotation):
            yield from _alternatives(member)
    else:
        yield annotation


def _kinds(group: Any) -> tuple[str, ...]:
    field = getattr(group, "model_fields", {}).get(DISCRIMINATOR)
    return get_args(field.annotation) if field else ()


def _lines(group: BaseModel, indent: str) -> Iterator[str]:
    """The keys of a group; `kind`, which says what the others are, first."""
    fields = type(group).model_fields
    for name in sorted(fields, key=lambda name: name != DISCRIMINATOR):
        value = getattr(group, name)
        if not indent:
            yield ""
        yield from _comment(type(group), name, value, indent)
        if isinstance(value, BaseModel) and not isinstance(value, ByResolution):
            yield f"{indent}{name}:"
            yield from _lines(value, indent + INDENT)
        elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
            yield f"{indent}{name}:"
            for item in value:
                yield from _item(item, indent)
        elif value is None or (isinstance(value, ByResolution) and value.root == {DEFAULT: None}):
            yield f"{indent}{name}: null"
        else:
            block = yaml_block({name: plain(group.model_dump(include={name})[name])})
            yield from textwrap.indent(block, indent).splitlines()


def _item(group: BaseModel, indent: str) -> Iterator[str]:
    """A group that is an item of a list."""
    yield from _wrapped(_meaning(group), indent)
    first, *others = _lines(group, indent + INDENT)
    yield f"{indent}- {first.lstrip()}"
    yield from others


def _comment(group: type[BaseModel], name: str, value: Any, indent: str) -> Iterator[str]:
    """What a key means and which values it takes."""
    sentences = [explanation(group, name)]
    if isinstance(value, BaseModel) and not isinstance(value, ByResolution):
        sentences.append(_meaning(value))
    if name != DISCRIMINATOR:  # its group's comment has the kinds
        sentences.append(choices(group.model_fields[name].annotation))
    yield from _wrapped(" ".join(filter(None, sentences)), indent)


def _meaning(group: BaseModel) -> str:
    """The first paragraph of a group's docstring."""
    paragraph = (inspect.getdoc(type(group)) or "").partition("\n\n")[0]
    return " ".join(paragraph.split())


def _wrapped(text: str, indent: str) -> list[str]:
    start = f"{indent}# "
    return textwrap.wrap(
        text, WIDTH, initial_indent=start, subsequent_indent=start, break_long_words=False
    )
