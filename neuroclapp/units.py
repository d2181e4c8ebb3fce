"""Physical quantities at the edges: ``"20 ms"`` in a TOML file becomes 0.02 (SI) inside."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any

import pint
from pydantic import BeforeValidator, ValidationInfo


@lru_cache(maxsize=1)
def registry() -> pint.UnitRegistry:
    return pint.UnitRegistry()


def parse_quantity(text: str, unit: str) -> float:
    """Convert ``text`` such as ``"20 ms"`` to a float in ``unit``; raise ValueError if it cannot be."""
    example = f"a quantity convertible to {unit}, written like {_EXAMPLES[unit]!r}"
    try:
        quantity: Any = registry().Quantity(text)
        if quantity.unitless:
            raise ValueError(f"has no unit; write {example}")
        return float(quantity.to(unit).magnitude)
    except pint.DimensionalityError:
        raise ValueError(f"has the wrong unit; write {example}") from None
    except (pint.UndefinedUnitError, pint.errors.DefinitionSyntaxError, TypeError, AttributeError):
        raise ValueError(f"cannot be read; write {example}") from None


_EXAMPLES = {"second": "20 ms", "hertz": "100 Hz", "joule": "23.6 pJ", "byte": "128 KiB"}


def _reader(unit: str) -> BeforeValidator:
    def read(value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, str):
            return parse_quantity(value, unit)
        from_file = bool(info.context and info.context.get("file"))
        if from_file and isinstance(value, int | float):
            raise ValueError(f"has no unit; write it with one, like {_EXAMPLES[unit]!r}")
        return value

    return BeforeValidator(read)


Seconds = Annotated[float, _reader("second")]
Hertz = Annotated[float, _reader("hertz")]
Joules = Annotated[float, _reader("joule")]
Bytes = Annotated[float, _reader("byte")]
