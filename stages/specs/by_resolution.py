"""A value that may differ from resolution to resolution; no torch."""

from typing import Any, Generic, Literal, TypeVar

from pydantic import (
    ConfigDict,
    RootModel,
    field_validator,
    model_serializer,
    model_validator,
)

DEFAULT: Literal["default"] = "default"
T = TypeVar("T")
RESOLUTIONS = (4, 8, 16, 32, 64, 128, 256, 512, 1024)


class ByResolution(RootModel[dict[int | Literal["default"], T]], Generic[T]):
    """One value, or a map of values, each of which applies from its resolution upwards.

    In `{default: 0.001, 256: 0.0015}` the first applies up to 128, the second from 256 on. Without
    a `default`, the lowest entry applies below itself too.
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _one_value(cls, value: Any) -> Any:
        return value if isinstance(value, dict) else {DEFAULT: value}

    @field_validator("root")
    @classmethod
    def _known_resolutions(
        cls, values: dict[int | Literal["default"], T]
    ) -> dict[int | Literal["default"], T]:
        for key in values:
            if key not in (DEFAULT, *RESOLUTIONS):
                raise ValueError(f"{key} is no resolution: use powers of two from 4 to 1024")
        if not values:
            raise ValueError("an empty map holds no value")
        return values

    @model_serializer
    def _shortest(self) -> Any:
        only_default = set(self.root) == {DEFAULT}
        return self.root[DEFAULT] if only_default else dict(self.root)

    def at(self, resolution: int) -> T:
        """The value at a resolution."""
        steps = sorted((0 if key == DEFAULT else int(key), v) for key, v in self.root.items())
        below = [value for start, value in steps if start <= resolution]
        return below[-1] if below else steps[0][1]
