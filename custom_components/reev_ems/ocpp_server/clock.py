"""How far a charge point's clock is ahead of ours, learnt from the times in its messages."""

from collections import deque

_SAMPLES = 8
_SMALL_S = 10.0
"""So long a message may have been on its way; a clock that differs by more is another clock."""
_AGREEMENT_S = 5.0
_SPAN_S = 15.0
STEP_CONFIRMED_S = 3.0
"""Time between two messages that agree with each other and not with those before: the clock was set."""


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
        self._doubts: deque[tuple[float, float]] = deque(maxlen=_SAMPLES)
        """Messages that contradict the samples: the clock was set, or they are late."""

    @property
    def seconds(self) -> float:
        """Seconds that the charge point's clock is ahead of ours; 0 as long as nothing is known."""
        return self.believed_s or 0.0

    @property
    def for_records_s(self) -> float:
        """Seconds to take off the times in its messages: what may be a mere delay of messages is no offset."""
        return 0.0 if -_SMALL_S <= self.seconds < 0.0 else self.seconds

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

    @property
    def doubted(self) -> bool:
        """Whether the last message contradicts those before it, and none has confirmed that yet."""
        return bool(self._doubts)

    def learn(self, at_s: float, ahead_s: float) -> bool:
        """Note the time in a message less ours, and when (monotonic) it arrived; returns whether the clock was set."""
        best = max((ahead for _, ahead in self._samples), default=ahead_s)
        if abs(ahead_s - best) <= _SMALL_S:
            self._samples.append((at_s, ahead_s))
            self._doubts.clear()
            return False
        if self._doubts and abs(ahead_s - self._doubts[0][1]) > _AGREEMENT_S:
            self._doubts.clear()
        self._doubts.append((at_s, ahead_s))
        if at_s - self._doubts[0][0] < STEP_CONFIRMED_S:
            return False
        known = self.believed_s is not None
        self._samples, self._doubts = self._doubts, deque(maxlen=_SAMPLES)
        if known:
            self.found_before_s = max(ahead for _, ahead in self._samples)
        return known

    def moved(self, by_s: float) -> None:
        """Our own clock was set: ahead by so many seconds."""
        for known in (self._samples, self._doubts):
            shifted = [(at_s, ahead - by_s) for at_s, ahead in known]
            known.clear()
            known.extend(shifted)
        if self._samples:
            self.found_before_s -= by_s

    def forget(self) -> None:
        """The clock was set."""
        self._samples.clear()
        self._doubts.clear()
