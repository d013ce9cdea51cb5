"""Reports: made from the archive, in a process of their own, never in the live desk's."""
