"""Many messages at once, and the rest of the program in between."""

import asyncio
from itertools import pairwise
import time

import pytest

from custom_components.reev_ems.ocpp_server import turns


async def test_others_have_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a hundred messages a round of the event loop handles what its time allows, in the order in which they came."""
    now_s = 0.0
    handled: list[int] = []
    rounds: list[int] = []
    looked = 0

    class Clock:
        """Stands still but for the messages."""

        @staticmethod
        def monotonic() -> float:
            nonlocal looked
            looked += 1
            return now_s

    monkeypatch.setattr(turns, "time", Clock)
    shared = turns.Turns()

    async def message(number: int) -> None:
        nonlocal now_s
        await shared.take()
        handled.append(number)
        now_s += 0.3 * turns.ROUND_S

    async def others() -> None:
        while len(handled) < 100:
            rounds.append(len(handled))
            await asyncio.sleep(0)

    await asyncio.gather(others(), *(message(number) for number in range(100)))
    assert handled == list(range(100))
    # In the first round that they wait for nobody is awake yet.
    assert [after - before for before, after in pairwise(rounds)].count(0) == 1
    assert {after - before for before, after in pairwise(rounds)} == {0, 4}
    assert len(rounds) == 26
    # All of them in each round would be 1,300.
    assert looked < 500


async def test_who_gives_up_while_it_waits() -> None:
    """A connection that ends takes nobody's turn."""
    shared = turns.Turns()

    def work() -> None:
        time.sleep(turns.ROUND_S)

    async def message() -> None:
        await shared.take()
        work()

    tasks = [asyncio.create_task(message()) for _ in range(40)]
    await asyncio.sleep(0)
    for task in tasks[1::2]:
        task.cancel()
    async with asyncio.timeout(5):
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [result is None for result in results] == [True, False] * 20


async def test_one_message_waits_for_nothing() -> None:
    """Without others a message is handled in the round in which it came."""
    shared = turns.Turns()
    task = asyncio.get_running_loop().create_task(shared.take())
    await asyncio.sleep(0)
    assert task.done()
