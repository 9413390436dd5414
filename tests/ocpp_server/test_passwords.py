"""Passwords are kept as hashes, and are right in every form in which charge points send them (S12)."""

from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from custom_components.reev_ems.ocpp_server import passwords
from custom_components.reev_ems.ocpp_server.passwords import (
    hashed,
    is_hashed,
    is_password,
)

from .test_security import login

GENERATED = "00112233445566778899aabbccddeeff"


@pytest.mark.parametrize("kind", ["plain", "hashed"])
@pytest.mark.parametrize("password", [GENERATED, GENERATED.upper(), "horse über 17"])
def test_s12_what_is_a_password(
    monkeypatch: pytest.MonkeyPatch, kind: str, password: str
) -> None:
    """As text, and for hex digits as the bytes that they mean; nothing else, and not the hash itself."""
    kept = hashed(password) if kind == "hashed" else password
    assert is_hashed(kept) is (kind == "hashed")
    for _ in range(2):
        assert is_password(kept, password.encode())
        is_hex = password.lower() == GENERATED
        meant = bytes.fromhex(GENERATED)
        assert is_password(kept, meant) is is_hex
        for wrong in (b"", b"x" * 16, password[:-1].encode(), GENERATED[2:].encode()):
            assert not is_password(kept, wrong)
    if kind == "hashed":
        assert not is_password(kept, kept.encode())
        assert password not in kept
        assert hashed(password) != kept


def test_s12_what_was_proven_is_not_remembered_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Wrong ones are not remembered at all."""
    monkeypatch.setattr(passwords, "_REMEMBERED", 2)
    kept = [hashed(f"{number:032x}") for number in range(4)]
    for number, each in enumerate(kept):
        assert is_password(each, f"{number:032x}".encode())
        assert not is_password(each, b"wrong")
    assert [kept_ for kept_, _ in passwords._proven] == kept[2:]


async def test_s12_a_kept_hash_lets_in_who_knows_the_password(
    adopt: Any, dial: Any
) -> None:
    """On the wire as before."""
    adopt(password=hashed(GENERATED), former_password=hashed("the former one"))
    for password in (GENERATED, "the former one"):
        await (await dial(**login("CP1", password))).ask("Heartbeat")
    with pytest.raises(InvalidStatus):
        await dial(**login("CP1", "the latter one"))
