"""A user's mistake knows its key, and can be put under a section."""

from __future__ import annotations

import pytest

from configs.errors import UserError


@pytest.mark.parametrize(
    ("message", "key", "reason"),
    [
        ("root: there is no folder 'a: b'.", "root", "there is no folder 'a: b'."),
        ("public.root: there is none.", "public.root", "there is none."),
        ("wandb.mode=online: no key.", "wandb.mode", "no key."),
        ("there is no run 'a'. Runs: b.", None, "there is no run 'a'. Runs: b."),
        ("--seeds: must be 1 or more.", None, "--seeds: must be 1 or more."),
    ],
)
def test_a_message_begins_with_its_key_if_it_has_one(message: str, key: str | None, reason: str) -> None:
    error = UserError(message)
    assert (str(error), error.key, error.reason) == (message, key, reason)


def test_advice_names_whole_keys_once_the_section_is_known() -> None:
    error = UserError("root: no folder at '.a=b/x.png'. Give .store=FILE, or leave it to sensitive.root=b.")
    assert str(error.under("public")) == (
        "public.root: no folder at '.a=b/x.png'. Give public.store=FILE, or leave it to sensitive.root=b."
    )


def test_a_mistake_can_be_put_under_a_section() -> None:
    error = UserError("root: there is no folder.").under("public").under("first")
    assert str(error) == "first.public.root: there is no folder." and error.key == "first.public.root"
