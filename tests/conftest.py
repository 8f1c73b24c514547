"""Settings of every test."""

from __future__ import annotations

from hypothesis import Phase, settings

settings.register_profile("privimage", deadline=None)  # a busy machine is slow: no test asserts a time
settings.register_profile("mutants", deadline=None, phases=[Phase.explicit, Phase.generate])  # any failure will do
settings.register_profile("fast", deadline=None, max_examples=10)  # of `make test-fast`
settings.load_profile("privimage")
