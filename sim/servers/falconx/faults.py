"""The faults that a test can arm on the FalconX loopback server, each for a stated number of times."""

from __future__ import annotations

FAULTS = frozenset(
    {
        "hang_after_execute",  # the next executes fill and are never answered
        "hang_before_execute",  # the next executes are lost: nothing happens, nothing is answered
        "http_503_after_execute",  # the next executes fill and answer 503
        "reject",  # the next executes are refused by last look
        "http_503",  # the next calls (of `path`, when given) answer 503 and do nothing
        "http_429",  # the next calls answer 429 with Retry-After
        "slow",  # the next calls wait `ms` first
        "disconnect",  # every price socket is closed, and the next `count` connections are refused
        "silence",  # the stream says nothing for `ms`
        "garbage_frame",  # the next `count` stream frames are not JSON
        "prices_as_text",  # the next quote objects carry prices as JSON strings, as the venue's Go client expects them
    }
)


class Faults:
    """Pending faults by (name, path prefix); each use takes one away."""

    def __init__(self) -> None:
        self.pending: dict[tuple[str, str], int] = {}
        self.ms = 0

    def arm(self, name: str, count: int, path: str) -> None:
        """Let `name` strike the next `count` calls whose path starts with `path`."""
        self.pending[(name, path)] = count

    def take(self, name: str, path: str = "") -> bool:
        """Whether the fault strikes now."""
        for (armed, prefix), left in self.pending.items():
            if armed == name and left > 0 and path.startswith(prefix):
                self.pending[(armed, prefix)] = left - 1
                return True
        return False
