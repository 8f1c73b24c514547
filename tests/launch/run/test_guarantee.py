"""What a run without noise may say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.launch.run.test_stage import context


@pytest.mark.parametrize(
    ("method", "public", "shown"),
    [("privimage_d", False, True), ("privimage_d", True, True), ("nonpriv_d", False, False), ("nonpriv_d", True, True)],
)
def test_what_follows_from_an_exact_answer_is_shown_of_public_sets_alone(
    method: str, public: bool, shown: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = context(tmp_path, f"method={method}")
    monkeypatch.setattr(type(here.sensitive_source), "public_benchmark", public)
    assert here.may_show == shown
