"""A short run of the fuzzer; `scripts/fuzz-ocpp` does the long ones."""

import pytest

from custom_components.reev_ems.ocpp_server import session
from custom_components.reev_ems.sessions import SessionLog

from . import fuzz


async def test_s12_fuzz(store: SessionLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """2000 frames, always the same, in three versions of OCPP."""
    monkeypatch.setattr(session, "RATE_PER_S", 1e6)
    report = await fuzz.run(2000, 1, store)
    assert not report.findings
    assert report.frames >= 2000
    assert report.answered > 1000
