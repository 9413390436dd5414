"""A short run of the fuzzer; `scripts/fuzz-ocpp` does the long ones."""

import asyncio
import logging

import pytest

from custom_components.reev_ems.ocpp_server import pace
from custom_components.reev_ems.sessions import SessionLog

from . import fuzz


@pytest.mark.timeout(300)
async def test_s12_fuzz(
    store: SessionLog,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """20,000 frames, always the same, in three versions of OCPP."""
    # Most of the time goes into logs and into the origin of each callback otherwise.
    caplog.set_level(logging.WARNING)
    asyncio.get_running_loop().set_debug(False)
    monkeypatch.setattr(pace, "RATE_PER_S", 1e6)
    report = await fuzz.run(20_000, 1, store)
    assert not report.findings
    assert report.frames >= 20_000
    assert report.answered > 10_000
