"""The JSON schema of a configuration, with which editors complete and check YAML files."""

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from progan.pipeline.config.schema import RunConfig
from progan.stages.specs.base import named
from progan.stages.specs.by_resolution import DEFAULT, RESOLUTIONS, ByResolution

LEVELS = "|".join(map(str, (DEFAULT, *RESOLUTIONS)))

MEANING = "One value, or a map by resolution, each value of which holds from there upwards."


class EditorSchema(GenerateJsonSchema):
    """Also what the validators accept in short: one value for all resolutions, a kind's name."""

    def str_schema(self, schema: core_schema.StringSchema) -> JsonSchemaValue:
        """A text that may be written as a number."""
        full = super().str_schema(schema)
        return (
            full | {"type": ["string", "number"]} if schema.get("coerce_numbers_to_str") else full
        )

    def function_before_schema(
        self, schema: core_schema.BeforeValidatorFunctionSchema
    ) -> JsonSchemaValue:
        """A union whose members have a `kind`: its name alone will do."""
        full = super().function_before_schema(schema)
        if schema["function"]["function"] is not named:
            return full
        return {"anyOf": [{"enum": sorted(full["discriminator"]["mapping"])}, full]}

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """A value by resolution: the value, or a map of resolutions to values."""
        full = super().model_schema(schema)
        if not issubclass(schema["cls"], ByResolution):
            return full
        value = full["additionalProperties"]
        by_resolution = {
            "type": "object",
            "patternProperties": {f"^({LEVELS})$": value},
            "additionalProperties": False,
            "minProperties": 1,
        }
        return {"anyOf": [value, by_resolution], "description": MEANING}


def editor_schema() -> dict[str, Any]:
    """The schema of a CONFIG; keys by resolution are texts, as JSON has no others."""
    schema = RunConfig.model_json_schema(schema_generator=EditorSchema)
    return schema | {"title": "A configuration of progan"}
