"""Registries: components pick their implementation, and their configuration keys, by name."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, ClassVar, Generic, TypeVar

from configs.errors import UserError

T = TypeVar("T")


class Registry(Generic[T]):
    """Implementations of one kind of component by name, each with its configuration dataclass.

    The dataclass has a field `name` whose default is the name it registers under. A registered builder is called with
    the configuration first, then with whatever that kind of component is given.
    """

    all: ClassVar[dict[str, Registry[Any]]] = {}

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, tuple[type, Callable[..., T]]] = {}
        Registry.all[kind] = self

    def register(self, config: type) -> Callable[[Any], Any]:
        """Decorate a class or function so that `config.name` builds it."""
        name = config.name  # type: ignore[attr-defined]

        def add(builder: Any) -> Any:
            if name in self._entries:
                raise ValueError(f"{self.kind} {name!r} is registered twice")
            self._entries[name] = (config, builder)
            return builder

        return add

    def names(self) -> list[str]:
        """Every registered name, sorted."""
        return sorted(self._entries)

    def config(self, name: str) -> type:
        """The configuration dataclass of a name; UserError for a name that is not registered."""
        return self._entry(name)[0]

    def implementation(self, name: str) -> Any:
        """The registered class or function of a name; UserError for a name that is not registered."""
        return self._entry(name)[1]

    def build(self, config: Any, *args: Any, **kwargs: Any) -> T:
        """The component that a configuration describes."""
        return self._entry(config.name)[1](config, *args, **kwargs)

    def summary(self, name: str) -> str:
        """The first line of the implementation's docstring."""
        return (self._entry(name)[1].__doc__ or "").strip().split("\n")[0]

    def _entry(self, name: str) -> tuple[type, Callable[..., T]]:
        if not isinstance(name, str) or name not in self._entries:
            near = get_close_matches(str(name), self._entries, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise UserError(f"there is no {self.kind} named {name!r} (there are: {', '.join(self.names())}).{hint}")
        return self._entries[name]
