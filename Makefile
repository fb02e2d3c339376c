# `make run` starts Aval, `make test` tests it, `make help` lists the other targets. They need Python 3.11 or newer and
# nothing else.

PYTHON ?= python3
SHELL = /bin/sh
MAKEFLAGS += --no-print-directory

APPS = config clients staff messaging tokens webhooks metrics external_api subscription support

# Valid settings for tools that only read code and connect to nothing.
LINT = SECRET_KEY=lint-only-secret-of-more-than-fifty-characters-0123456789 SANDBOX=true BROKER_URL= \
	DATABASE_URL=postgres://aval@localhost/aval REDIS_URL=redis://localhost/0 PUBLIC_URL=https://aval.example.com

# The Python client is for other projects: mypy sees it as they do, strictly and without Django.
SDK_MYPY = .venv/bin/python -m mypy --no-error-summary --config-file sdk/python/pyproject.toml sdk/python/aval_client

# The TypeScript client is compiled where its compiler is installed; its tests compile it in any case.
SDK_TSC = if [ -x sdk/typescript/node_modules/.bin/tsc ]; then cd sdk/typescript && node_modules/.bin/tsc --noEmit; fi

.PHONY: run test quick bench chaos lint requirements clean help venv venv-dev

run: venv  ## Aval with all its servers, until Ctrl-C; reads PORT, HOST and DATA_DIR
	@exec .venv/bin/python -m config.run

# Twice the number of cores: some tests wait for clocks and processes.
JOBS = $(shell $(PYTHON) -c 'import os; print(min(8, 2 * (os.cpu_count() or 1)))')

# Python keeps what it compiles: the tests start it hundreds of times, and pytest rewrites each file of tests.
PYTEST = env -u PYTHONDONTWRITEBYTECODE .venv/bin/python -m pytest

# First the tests of the apps, in parallel. Then those with a complete installation of their own, which wait a lot.
test: lint  ## lint, then all tests, with their own PostgreSQL and Valkey
	@$(PYTEST) -n $(JOBS) --dist worksteal $(APPS)
	@$(PYTEST) -n 2 --dist loadfile --no-loadscope-reorder tests

# What a change to one app needs before a commit: `make quick APP=messaging`.
APP = tokens

quick: venv-dev  ## ruff, mypy, import rules and one app's tests (APP=tokens), in under a minute
	@.venv/bin/python -m ruff check --quiet .
	@.venv/bin/python -m ruff format --check --quiet . || { echo "aval: say .venv/bin/ruff format." >&2; exit 1; }
	@$(LINT) .venv/bin/python -m mypy .
	@$(SDK_MYPY)
	@$(LINT) .venv/bin/lint-imports --no-cache >/dev/null || $(LINT) .venv/bin/lint-imports --no-cache
	@$(PYTEST) -n $(JOBS) $(APP)

bench: venv-dev  ## benchmarks, each beside a floor measured in the same run
	@.venv/bin/python -m bench

chaos: venv-dev  ## fault scenarios on a complete installation; CHAOS="--only kills --seeds 3" for some
	@.venv/bin/python -m chaos $(CHAOS)

lint: venv-dev  ## ruff, mypy, import rules, migrations, Django's own checks and the clients of sdk/
	@.venv/bin/python -m ruff check --quiet .
	@.venv/bin/python -m ruff format --check --quiet . || { echo "aval: run .venv/bin/ruff format." >&2; exit 1; }
	@$(LINT) .venv/bin/python -m mypy .
	@$(SDK_MYPY)
	@$(SDK_TSC)
	@$(LINT) .venv/bin/lint-imports --no-cache
	@env -u DATABASE_URL -u REDIS_URL DATA_DIR="$${TEST_DATA_DIR:-var/test}" \
		.venv/bin/python manage.py makemigrations --check --dry-run
	@env -u DATABASE_URL -u REDIS_URL DATA_DIR="$${TEST_DATA_DIR:-var/test}" .venv/bin/python -m testkit.migration_lint
	@$(LINT) SANDBOX=false .venv/bin/python manage.py check --deploy --fail-level WARNING

requirements: venv-dev  ## compile the pinned versions and their hashes from the .in files
	@.venv/bin/python -m pip install -qq --disable-pip-version-check pip-tools==7.6.2
	@for set in requirements requirements-sentry requirements-otel requirements-dev; do \
		.venv/bin/python -m piptools compile --quiet --strip-extras --allow-unsafe --generate-hashes --no-emit-index-url \
		--no-emit-find-links --output-file=$$set.txt $$set.in || exit 1; done

clean:  ## remove generated files; the data in var/ stays
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache static var/test*
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

help:  ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*##  *\(.*\)/\1|\2/p' $(firstword $(MAKEFILE_LIST)) | \
		while IFS='|' read -r target text; do printf '%-19s%s\n' "make $$target" "$$text"; done

venv:  ## .venv with the packages of Aval
	@command -v $(PYTHON) >/dev/null || { echo "aval: Python 3.11 or newer is needed, and there is no $(PYTHON)." >&2; exit 1; }
	@$(PYTHON) -I config/venv.py requirements.txt

venv-dev:  ## .venv with the tools for development too
	@command -v $(PYTHON) >/dev/null || { echo "aval: Python 3.11 or newer is needed, and there is no $(PYTHON)." >&2; exit 1; }
	@$(PYTHON) -I config/venv.py requirements.txt requirements-dev.txt
