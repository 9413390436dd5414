"""Values: what one part of a step hands to the next, to the decision, to JSON.

They are frozen for the type checker and not at run time: a dataclass with `frozen=True` takes more than twice as long
to make, and a step makes several for every connector.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, dataclass_transform

if TYPE_CHECKING:
    from dataclasses import replace
else:

    def replace(value: Any, /, **changes: Any) -> Any:
        """Return a value with some fields changed, in a third of the time that `dataclasses.replace` takes."""
        changed = object.__new__(type(value))
        for name in value.__slots__:
            setattr(
                changed,
                name,
                changes.pop(name) if name in changes else getattr(value, name),
            )
        if changes:
            raise TypeError(f"{type(value).__name__} has no {', '.join(changes)}")
        return changed


__all__ = ["frozen", "replace"]


@dataclass_transform(frozen_default=True, kw_only_default=True)
def frozen[T](cls: type[T]) -> type[T]:
    """Make a class a keyword-only dataclass with slots, whose fields are never assigned again."""
    return dataclass(slots=True, kw_only=True, unsafe_hash=True)(cls)
