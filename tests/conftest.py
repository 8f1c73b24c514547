"""What holds for every test."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("privimage", deadline=None)  # a busy machine is slow: no test asserts a time
settings.load_profile("privimage")
