"""The base of objects that hold key material: they are never shown, copied or stored."""

from __future__ import annotations

from typing import NoReturn, SupportsIndex


class Secret:
    """Base of objects whose contents must stay in this process: no contents in `repr`, no pickle, no copy."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}, contents hidden>"

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError(f"{type(self).__name__} holds key material and cannot be pickled or copied")

    def __getstate__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} holds key material and cannot be pickled or copied")
