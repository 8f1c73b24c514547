"""Hypothesis strategies for random mechanisms over all records, to test properties of their composition."""

from __future__ import annotations

from hypothesis import strategies as st

from accounting.mechanisms import GaussianHistogram, GaussianQuery

QUERIES = st.builds(GaussianQuery, name=st.just("q"), noise_multiplier=st.floats(2, 500), sensitivity=st.just(1.0))
HISTOGRAMS = st.builds(
    GaussianHistogram, name=st.just("h"), noise_multiplier=st.floats(4, 50), rounds=st.integers(1, 10)
)
