# POSIX make. Everything needs only python3 (3.11 to 3.14); scripts/bootstrap.py does the rest, once.
PYTHON = python3
ONCE =
UPDATE =
ARGS =
RUNS =
SEED =
RACES =
STRINGS =
RECORD =
ROWS =
ROUNDS =
BILLING_SQL =
KILLS =
PAIRS =
SCHEDULES =
PGKILLS =
MUTANTS =
PROFILES =
CLOCK =
REPLAY =
UV = .runtime/uv/bin/uv
LOCKED = --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet
LOCK = $(UV) pip compile pyproject.toml --extra demo --extra browser --extra test --extra celery $(LOCKED)
TRYTON = include/psflow/sandbox/tryton_requirements

.PHONY: help venv demo browser test check lock lock-check up down clean crash overlap pause tamper replay inject canary sod bench

help:
	@echo "make demo          start the local stack and carry one deal through it; Ctrl-C stops it"
	@echo "make demo ONCE=1   the same, stopped at the end; fails unless every check holds"
	@echo "make browser       the same, and Chromium checks the pages; UPDATE=1 renews docs/screenshots"
	@echo "make test          run the tests; ARGS='-k billing' goes to pytest"
	@echo "make crash         SIGKILL at every point of the flows, KILLS=5000; or PAIRS= SCHEDULES= PGKILLS= MUTANTS=all"
	@echo "make overlap       a live run, a backfill and a rerun at once, RUNS=300; make pause: a worker that sleeps"
	@echo "make tamper        edit the audit as its owner, RUNS=1000 times: every edit must be found"
	@echo "make replay        recorded effect ledgers on this code: no new call; RECORD=1 adds new scenarios"
	@echo "make sod           who may decide on a batch: every person, stake and action; RACES=1000 at once"
	@echo "make inject        hostile names through every sink: STRINGS=200000 of them"
	@echo "make canary        planted secrets, runs that fail, and a look into everything written"
	@echo "make bench         how fast, beside COPY, plain SQL, dlt and dbt; ROWS=200000 is the small form"
	@echo "make check         style, types, import rules and the lock"
	@echo "make up | down     only start or stop the stack"
	@echo "make lock          resolve requirements.lock again"
	@echo "make clean         stop the stack and remove .venv and .runtime"

venv:
	@command -v $(PYTHON) >/dev/null || { echo "psflow needs Python 3.11 to 3.14 as '$(PYTHON)': install it, or name yours with make PYTHON=..." >&2; exit 2; }
	@$(PYTHON) scripts/bootstrap.py

demo: venv
	@once="$(ONCE)"; exec .venv/bin/psflow demo $${once:+--once}

browser: venv
	.venv/bin/psflow demo --once --browser
	@test -z "$(UPDATE)" || { mkdir -p docs/screenshots; cp "$${PSFLOW_STATE_DIR:-.runtime}"/browser/*.png docs/screenshots; }

test: venv
	.venv/bin/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder $(ARGS)

CRASH = KILLS="$(KILLS)" PAIRS="$(PAIRS)" SCHEDULES="$(SCHEDULES)" PGKILLS="$(PGKILLS)" MUTANTS="$(MUTANTS)" \
	RUNS="$(RUNS)" PROFILES="$(PROFILES)" SEED="$(SEED)" CLOCK="$(CLOCK)" REPLAY="$(REPLAY)" .venv/bin/python -m tests.crash

crash: venv
	@$(CRASH)

overlap: venv
	@$(CRASH) overlap

pause: venv
	@$(CRASH) pause

tamper: venv
	@RUNS="$(RUNS)" SEED="$(SEED)" .venv/bin/python -m tests.proof.tamper

replay: venv
	@RECORD="$(RECORD)" .venv/bin/python -m tests.proof.replay

sod: venv
	@RACES="$(RACES)" .venv/bin/python -m tests.proof.sod

inject: venv
	@STRINGS="$(STRINGS)" SEED="$(SEED)" .venv/bin/python -m tests.proof.inject

canary: venv
	@.venv/bin/python -m tests.proof.canary

bench: venv
	@ROWS="$(ROWS)" ROUNDS="$(ROUNDS)" SEED="$(SEED)" BILLING_SQL="$(BILLING_SQL)" .venv/bin/python -m bench

check: venv lock-check
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy include plugins
	.venv/bin/lint-imports

lock: venv
	$(LOCK) --output-file requirements.lock
	$(UV) pip compile $(TRYTON).in $(LOCKED) --output-file $(TRYTON).lock

lock-check: venv
	@if grep -nE '://|^-|--([^h]|h[^a])' requirements.lock $(TRYTON).lock; then echo "a lock names an address: make lock" >&2; exit 1; fi
	@cp requirements.lock .runtime/requirements.lock
	@$(LOCK) --output-file .runtime/requirements.lock
	@cp $(TRYTON).lock .runtime/tryton.lock
	@$(UV) pip compile $(TRYTON).in $(LOCKED) --output-file .runtime/tryton.lock
	@cmp $(TRYTON).lock .runtime/tryton.lock || { echo "$(TRYTON).lock does not fit the .in beside it: make lock" >&2; exit 1; }
	@cmp requirements.lock .runtime/requirements.lock || { echo "requirements.lock does not fit pyproject.toml: make lock" >&2; exit 1; }

up: venv
	@exec .venv/bin/psflow up

down: venv
	@exec .venv/bin/psflow down

clean:
	@if test -x .venv/bin/psflow; then .venv/bin/psflow down --forget; fi
	rm -rf .venv .runtime
