"""The configuration: frozen structs (`model`) and how they are read from TOML and the environment (`load`)."""
