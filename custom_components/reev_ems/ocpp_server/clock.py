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
    time; it is believed when several messages agree over a while, or when it was found before.
    """

    def __init__(self, found_before_s: float = 0.0) -> None:
        """Begin with a clock that is right until a message says otherwise."""
        self.found_before_s = found_before_s
        self._samples: deque[tuple[float, float]] = deque(maxlen=_SAMPLES)

    @property
    def seconds(self) -> float:
        """Seconds that the charge point's clock is ahead of ours; 0 as long as nothing is known."""
        return self.believed_s or 0.0

    @property
    def believed_s(self) -> float | None:
        """Seconds that the clock is ahead of ours; None while that cannot be told."""
        if not self._samples:
            return None
        best = max(ahead for _, ahead in self._samples)
        if abs(best) <= _SMALL_S or abs(best - self.found_before_s) <= _AGREEMENT_S:
            return best
        arrivals = [
            at_s for at_s, ahead in self._samples if ahead >= best - _AGREEMENT_S
        ]
        return best if arrivals[-1] - arrivals[0] >= _SPAN_S else None

    def learn(self, at_s: float, ahead_s: float) -> None:
        """Note the time in a message less ours, and when (monotonic) it arrived."""
        self._samples.append((at_s, ahead_s))

    def forget(self) -> None:
        """The clock was set."""
        self._samples.clear()
