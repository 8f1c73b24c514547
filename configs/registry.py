"""Components by name: a catalogue says which keys a name has, a registry adds what builds it."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, ClassVar, Generic, TypeVar

from configs.errors import UserError

T = TypeVar("T")
Config = TypeVar("Config", bound=type)


class Catalogue:
    """The names of one kind of component, each with its configuration dataclass.

    The dataclass has a field `name` whose default is the name; the first line of its docstring is what
    `privimage list` says of it. A catalogue knows no implementation, so that a configuration can be read, checked and
    explained without importing any.
    """

    all: ClassVar[dict[str, Catalogue]] = {}

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._configs: dict[str, type] = {}
        Catalogue.all[kind] = self

    def add(self, config: Config) -> Config:
        """Decorate a configuration dataclass, so that its name can be given in a configuration."""
        name = config.name  # type: ignore[attr-defined]
        if name in self._configs:
            raise ValueError(f"{self.kind} {name!r} is there twice")
        self._configs[name] = config
        return config

    def names(self) -> list[str]:
        """Every name, sorted."""
        return sorted(self._configs)

    def config(self, name: str) -> type:
        """The configuration dataclass of a name.

        Raises:
            UserError: if there is no such name; it lists those that there are.
        """
        if not isinstance(name, str) or name not in self._configs:
            near = get_close_matches(str(name), self._configs, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise UserError(f"there is no {self.kind} named {name!r} (there are: {', '.join(self.names())}).{hint}")
        return self._configs[name]

    def summary(self, name: str) -> str:
        """The first line of the docstring of a name's dataclass."""
        return (self.config(name).__doc__ or "").strip().split("\n")[0]


class Registry(Generic[T]):
    """What builds the components of a catalogue. `launch.components.load` fills every registry.

    A builder is called with the configuration first, then with whatever that kind of component is given.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._builders: dict[str, Callable[..., T]] = {}

    def register(self, config: type) -> Callable[[Any], Any]:
        """Decorate a class or function so that it builds what `config`, a dataclass of the catalogue, describes."""
        name = config.name  # type: ignore[attr-defined]
        if self.catalogue.config(name) is not config:
            raise ValueError(f"{config.__qualname__} is not what the catalogue has under {name!r}")

        def add(builder: Any) -> Any:
            if name in self._builders:
                raise ValueError(f"{self.catalogue.kind} {name!r} is registered twice")
            self._builders[name] = builder
            return builder

        return add

    def names(self) -> list[str]:
        """Every name of the catalogue, sorted."""
        return self.catalogue.names()

    def config(self, name: str) -> type:
        """The configuration dataclass of a name; UserError if there is no such name."""
        return self.catalogue.config(name)

    def implementation(self, name: str) -> Any:
        """The registered class or function of a name.

        Raises:
            UserError: if there is no such name.
            RuntimeError: if the module that registers it has not been imported.
        """
        self.catalogue.config(name)
        if name not in self._builders:
            raise RuntimeError(
                f"nothing builds {self.catalogue.kind} {name!r}: call launch.components.load() first, and import its "
                "module where its package imports the others"
            )
        return self._builders[name]

    def build(self, config: Any, *args: Any, **kwargs: Any) -> T:
        """The component that a configuration describes."""
        built: T = self.implementation(config.name)(config, *args, **kwargs)
        return built
