"""Random numbers laid out by record."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_modules.draws import normal_rows


@given(width=st.integers(1, 70), records=st.integers(0, 9), cut=st.integers(0, 9))
def test_rows_do_not_hang_on_how_a_batch_is_cut(width: int, records: int, cut: int) -> None:
    whole = normal_rows(records, width, torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(1)
    parts = [normal_rows(count, width, generator) for count in (min(cut, records), records - min(cut, records))]
    assert whole.shape[0] == records and whole.shape[1] >= width
    assert torch.equal(torch.cat(parts), whole)
