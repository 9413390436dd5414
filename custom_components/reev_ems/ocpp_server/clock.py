"""How far a charge point's clock is ahead of ours, learnt from the times in its messages."""

from collections import deque

_SAMPLES = 8
_SMALL_S = 10.0
_AGREEMENT_S = 5.0
_SPAN_S = 15.0


class ClockOffset:
    """The offset of a clock that is only seen through messages that arrive late.

    A message can be late (it waited in a queue), never early: each time in it, less our time at its arrival, is at
    most the true offset. So the largest of the last ones is the best estimate, and errs to the safe side: a profile
    then starts, and lapses, a little early. A clock that seems far off may be a queue being emptied or one wrong
    time; it is believed when several messages agree over a while.
    """

    def __init__(self) -> None:
        """Begin with a clock that is right."""
        self._samples: deque[tuple[float, float]] = deque(maxlen=_SAMPLES)

    @property
    def seconds(self) -> float:
        """Seconds that the charge point's clock is ahead of ours; 0 as long as nothing is known."""
        best = max((ahead for _, ahead in self._samples), default=0.0)
        if abs(best) <= _SMALL_S:
            return best
        arrivals = [
            at_s for at_s, ahead in self._samples if ahead >= best - _AGREEMENT_S
        ]
        return best if arrivals[-1] - arrivals[0] >= _SPAN_S else 0.0

    def learn(self, at_s: float, ahead_s: float) -> None:
        """Note the time in a message less ours, and when (monotonic) it arrived."""
        self._samples.append((at_s, ahead_s))

    def forget(self) -> None:
        """The clock was set."""
        self._samples.clear()
