"""One view a number key: what each panel shows of the desk's state."""
