"""Our account at an exchange: orders out, executions in, what became of each, and the link and engine client that tell it."""
