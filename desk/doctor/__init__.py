"""`kerb doctor`: is this machine, this folder and the world around fit for a desk? Looks only; nothing is repaired or sent."""
