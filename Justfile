# Kerb's recipes. `just` alone lists them in groups.
set shell := ["bash", "-euo", "pipefail", "-c"]

# List the recipes
default:
    @just --list --unsorted

# (Ctrl-C reaches just as well, which would call any ending a failure: line one may end as it likes, line two tells how it ended.)

# A whole desk on simulated venues: no keys, no network (arguments go to `kerb demo`)
[group('run')]
demo *ARGS:
    -@code=0; trap : INT; uv run --quiet kerb demo {{ARGS}} || code=$?; echo $code > "${TMPDIR:-/tmp}/just-demo-$PPID"
    @told="${TMPDIR:-/tmp}/just-demo-$PPID"; code=$(cat "$told"); rm -f "$told"; exit $code

# Replay a tape through the same actors (arguments go to `kerb replay`)
[group('run')]
replay *ARGS:
    @uv run --quiet kerb replay {{ARGS}}

# The operator's blotter against a running desk
[group('run')]
tui *ARGS:
    @uv run --quiet kerb tui {{ARGS}}

# A picture of the blotter for the README, of a running demo (its state folder)
[group('docs')]
screenshot STATE:
    @uv run --quiet python -m tui.screenshot {{STATE}} docs/blotter.svg

# The test suite, three files at a time, then what must be alone; or what the arguments name
[group('test')]
test *ARGS:
    @uv run python -m desk.kernels
    @{{ if ARGS == "" { "uv run pytest -n 3 --dist loadfile --no-loadscope-reorder -m 'not alone' && uv run pytest -m alone" } else { "uv run pytest " + ARGS } }}

# The fault suite: seeded disturbances at every loopback exchange (such as 500 --seed 7), and what does not hold
[group('test')]
faults *ARGS:
    @uv run python -m tests.faults {{ARGS}}

# What a reviewer runs: lint, types, floors, tests
[group('check')]
check: lint types floors test

# Ruff: style and format
[group('check')]
lint:
    uv run ruff check .
    uv run ruff format --check .

# Strict types on the pure rooms
[group('check')]
types:
    uv run mypy

# Who may import whom
[group('check')]
floors:
    uv run lint-imports

# Format and fix what can be fixed
[group('check')]
fix:
    uv run ruff check --fix .
    uv run ruff format .

# Every card over every exchange (or one: `just cards KRAKEN`), and the tables made of it
[group('test')]
cards of="":
    KERB_CARDS=adapters/ccxt/cards.json uv run pytest -q tests/conformance/cards/test_cards.py -k "test_card[{{ if of == "" { "" } else { of + "-" } }}"
    uv run python -m tests.conformance.cards.table

# The latency suite: ratios measured side by side in one run
[group('bench')]
bench *ARGS:
    @uv run --quiet kerb bench {{ARGS}}

# docs/benchmarks.md from a run of every suite on this machine
[group('bench')]
bench-page:
    @uv run --quiet kerb bench --page docs/benchmarks.md
