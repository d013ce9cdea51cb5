"""`kerb replay`: the desk's own actors on a recorded tape, in the tick-level engine; a function of (tape, configuration, seed)."""
