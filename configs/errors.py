"""The one exception that means: the user can fix this."""

from __future__ import annotations

import re


class UserError(Exception):
    """A mistake or a condition that the user can fix.

    The message says where, what is wrong, and what to do next; if a configuration key is at fault, it begins with the
    key. The command line prints it as it is, without a traceback, and exits with code 2.
    """

    @property
    def key(self) -> str | None:
        """The configuration key that the message begins with, or None."""
        found = re.match(r"([a-z][\w.]*)(=\S*)?: ", str(self))
        return found.group(1) if found else None

    @property
    def reason(self) -> str:
        """The message without its key."""
        return str(self) if self.key is None else str(self).split(": ", 1)[1]

    def under(self, section: str) -> UserError:
        """The same mistake, with its key under a section, and every `.key=value` that its advice writes."""
        return UserError(keys_under(section, f".{self}"))


def keys_under(section: str, text: str) -> str:
    """A text in which every `.key=` and a `.key:` at its beginning have the section before them."""
    return re.sub(r"(?<![^ ])[.](?=[a-z][\w.]*=)|^[.]", f"{section}.", text)
