"""Settings of every test."""

from __future__ import annotations

from hypothesis import Phase, settings

settings.register_profile("privimage", deadline=None)  # a busy machine is slow: no test asserts a time
settings.register_profile("mutants", deadline=None, phases=[Phase.explicit, Phase.generate])  # any failure will do
settings.load_profile("privimage")
