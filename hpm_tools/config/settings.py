"""A frozen settings class whose annotations are its schema, as a command's signature is its interface.

Dataclasses would do, but importing them costs more than a quick command's whole work (they import inspect).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any, Self, dataclass_transform
else:

    def dataclass_transform(**_options: object) -> object:
        return lambda cls: cls


class Setting:
    """What an annotation cannot say about one setting; ``name`` and ``kind`` come from the class body.

    ``check`` takes the value and returns it, perhaps normalised, or raises HpmError or ValueError.
    ``free`` settings count in a repository's invoke.yaml without ``hpm trust``, ``operators_own`` ones not
    even with it. ``path`` ones are made absolute, seen from where they are written. ``keys`` are those of a
    mapping. ``hidden`` fields are no settings at all; ``environment_only`` ones may not come from a file,
    ``file_only`` ones not from a variable, ``secret`` ones that are the operator's own from nothing but his file.
    ``entry`` is the Settings class of each mapping in a list of them; of such a class's own settings, those
    that are ``required`` must be there, and no two entries have the same value of a ``unique`` one.
    """

    __slots__ = (
        "check",
        "choices",
        "default",
        "entry",
        "environment_only",
        "file_only",
        "free",
        "help",
        "hidden",
        "high",
        "keys",
        "kind",
        "low",
        "name",
        "operators_own",
        "path",
        "required",
        "secret",
        "unique",
    )

    def __init__(self, default: Any, help: str, options: Mapping[str, Any]) -> None:
        self.name = self.kind = ""
        self.default = default
        self.help = help
        self.low: float | None = options.get("low")
        self.high: float | None = options.get("high")
        self.choices: tuple[str, ...] = options.get("choices", ())
        self.keys: tuple[str, ...] = options.get("keys", ())
        self.check: Callable[[Any], Any] | None = options.get("check")
        self.free: bool = options.get("free", False)
        self.operators_own: bool = options.get("operators_own", False)
        self.path: bool = options.get("path", False)
        self.secret: bool = options.get("secret", False)
        self.hidden: bool = options.get("hidden", False)
        self.environment_only: bool = options.get("environment_only", False)
        self.file_only: bool = options.get("file_only", False)
        self.entry: type[Settings] | None = options.get("entry")
        self.required: bool = options.get("required", False)
        self.unique: bool = options.get("unique", False)


def setting(*, default: Any, help: str = "", **options: Any) -> Any:
    """Declare one field of a Settings class; ``options`` are the attributes of Setting."""
    return Setting(default, help, options)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(setting,))
class Settings:
    """Base of the settings classes: keyword arguments in, defaults filled in, frozen from then on."""

    _fields: dict[str, Setting]

    def __init_subclass__(cls) -> None:
        cls._fields = dict(getattr(cls, "_fields", {}))  # those of a base class come first
        for name, kind in cls.__annotations__.items():
            declared = cls.__dict__[name]
            declared.name, declared.kind = name, kind
            cls._fields[name] = declared

    def __init__(self, **values: Any) -> None:
        unknown = values.keys() - self._fields.keys()
        if unknown:
            raise TypeError(f"{type(self).__name__} has no field {', '.join(sorted(unknown))}")
        for name, field in self._fields.items():
            self.__dict__[name] = values.get(name, field.default)

    def __setattr__(self, name: str, _value: object) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} is frozen")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = [
            f"{name}={'***' if f.secret else repr(self.__dict__[name])}" for name, f in self._fields.items()
        ]
        return f"{type(self).__name__}({', '.join(shown)})"

    def given(self) -> dict[str, Any]:
        """The fields that differ from their defaults, by name."""
        return {name: value for name, value in self.__dict__.items() if value != self._fields[name].default}

    def replace(self, **values: Any) -> Self:
        """The same settings with some fields changed."""
        return type(self)(**{**self.__dict__, **values})

    @classmethod
    def schema(cls, prefix: str = "") -> Iterator[tuple[str, Setting]]:
        """Every setting under its dotted path, in order of declaration, nested ones flattened."""
        for name, field in cls._fields.items():
            if field.hidden:
                continue
            if isinstance(field.default, Settings):
                yield from field.default.schema(f"{prefix}{name}.")
            else:
                yield prefix + name, field
