# POSIX make. Everything needs only python3 (3.11 to 3.14); scripts/bootstrap.py does the rest, once.
PYTHON = python3
ONCE =
UPDATE =
ARGS =
UV = .runtime/uv/bin/uv
LOCK = $(UV) pip compile pyproject.toml --extra demo --extra browser --extra test --extra celery \
	--universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet

.PHONY: help venv demo browser test check lock lock-check up down clean

help:
	@echo "make demo          start the local stack and carry one deal through it; Ctrl-C stops it"
	@echo "make demo ONCE=1   the same, stopped at the end; fails unless every check holds"
	@echo "make browser       the same, and Chromium checks the pages; UPDATE=1 renews docs/screenshots"
	@echo "make test          run the tests; ARGS='-k billing' goes to pytest"
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
	.venv/bin/python -m pytest -n 2 --dist loadfile $(ARGS)

check: venv lock-check
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy include plugins
	.venv/bin/lint-imports

lock: venv
	$(LOCK) --output-file requirements.lock

lock-check: venv
	@if grep -nE '://|^-|--([^h]|h[^a])' requirements.lock; then echo "requirements.lock names an address: make lock" >&2; exit 1; fi
	@cp requirements.lock .runtime/requirements.lock
	@$(LOCK) --output-file .runtime/requirements.lock
	@cmp requirements.lock .runtime/requirements.lock || { echo "requirements.lock does not fit pyproject.toml: make lock" >&2; exit 1; }

up: venv
	@exec .venv/bin/psflow up

down: venv
	@exec .venv/bin/psflow down

clean:
	@if test -x .venv/bin/psflow; then .venv/bin/psflow down --forget; fi
	rm -rf .venv .runtime
