# Everything a developer or a build machine does, as one word each. `make` alone explains itself.
#
# Nothing here needs more than git, make and python3: scripts/setup brings the rest.

SHELL := /bin/sh
.DEFAULT_GOAL := help
# HAProxy, nginx and ip live where the PATH of an ordinary user does not look.
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin
# Images set this to stay small; here it would have every process compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE

VENV   ?= .venv
PY     := $(VENV)/bin/python
PYTEST := $(PY) -m pytest
ARGS   ?=
# Tests wait for daemons half of their time: two more of them at once than there are processors.
WORKERS ?= $(shell expr $$(nproc 2>/dev/null || echo 2) + 2)

PREFIX     ?= /usr/local
DESTDIR    ?=
SYSCONFDIR ?= /etc
UNITDIR    ?= $(PREFIX)/lib/systemd/system

.PHONY: help
help: ## show this list
	@awk 'BEGIN { FS = ":.*## "; print "lbsync: make TARGET [VARIABLE=value]\n" } \
	     /^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 } \
	     END { print "\n  ARGS=…       is passed on to pytest or bench, as in: make unit ARGS=\"-k guard\"" }' \
	     Makefile

.PHONY: setup
setup: ## make .venv with everything the checks and tests import (done by the others when needed)
	@VENV=$(VENV) scripts/setup

.PHONY: setup-daemons
setup-daemons: setup ## programs that the tests run; ARGS=all: also HAProxy 3.0, 3.2, 3.4, unpacked here
	@scripts/setup-daemons $(filter all,$(ARGS))

.PHONY: demo
demo: setup ## watch the agent at work on this machine; KEEP=1 leaves it running to play with
	@scripts/setup-daemons --required haproxy etcd etcdctl
	@KEEP=$(KEEP) $(PY) -m demo

.PHONY: test
test: setup-daemons ## run all tests, with real etcd, and HAProxy 2.6 and the newest that is there
	@# pytest compiles the tests in its own way; in a fresh clone each worker would compile them all.
	@[ -n "$$(find tests -name '*-pytest-*.pyc' -print -quit)" ] || { \
	    for room in unit integration; do \
	        $(PYTEST) --collect-only -q tests/$$room >/dev/null 2>&1 & \
	    done; wait; }
	$(PYTEST) -n $(WORKERS) --dist worksteal $(ARGS)

.PHONY: test-haproxies
test-haproxies: setup ## what runs HAProxy, on each release that is there or can be had
	@scripts/setup-daemons all
	HAPROXY_BRANCHES=all $(PYTEST) -n $(WORKERS) --dist worksteal tests/golden tests/integration tests/e2e $(ARGS)

.PHONY: check
check: setup ## lint, format, types, imports; seconds
	@status=0; \
	for tool in "ruff check" "ruff format --check" mypy "lint-imports --no-logo"; do \
	    echo "+ $$tool"; $(VENV)/bin/$$tool || status=1; \
	done; exit $$status

.PHONY: format
format: setup ## let the formatter and the safe lint fixes rewrite the tree
	$(VENV)/bin/ruff check --fix-only
	$(VENV)/bin/ruff format

.PHONY: unit
unit: setup ## pure tests: no process, no socket
	$(PYTEST) tests/unit $(ARGS)

.PHONY: integration
integration: setup-daemons ## one door at a time, each against the real thing
	$(PYTEST) tests/integration $(ARGS)

.PHONY: e2e
e2e: setup-daemons ## whole agent processes, with load that counts every lost request
	$(PYTEST) tests/e2e $(ARGS)

.PHONY: chaos
chaos: setup-daemons ## ten minutes of writers and faults at random; CHAOS_S=, CHAOS_SEED=
	CHAOS_S=$${CHAOS_S:-600} $(PYTEST) -s tests/e2e/test_chaos.py $(ARGS)

.PHONY: test-deb
test-deb: setup-daemons wheels ## build the Debian package, unpack it and run what is in it; a minute
	$(PYTEST) tests/integration/test_package.py $(ARGS)

.PHONY: test-vm
test-vm: setup ## root only: a Debian host under real systemd, from first start to upgrade and crash
	@scripts/setup-daemons --required debootstrap systemd-nspawn ip
	$(PYTEST) tests/vm $(ARGS)

.PHONY: golden
golden: setup ## rewrite the expected configurations in tests/golden; review the diff
	LBSYNC_GOLDEN=write $(PYTEST) -q tests/golden $(ARGS)
	@git --no-pager diff --stat -- tests/golden

.PHONY: bench
bench: setup-daemons ## measure time, memory and requests lost; each part alone: python -m bench.NAME
	@for part in $$(grep -l '__main__' bench/*.py); do \
	    name=bench.$$(basename $$part .py); echo "+ $$name"; \
	    $(PY) -m $$name $(ARGS) || exit 1; \
	done

.PHONY: dist
dist: setup ## build the wheel and the source archive into dist/
	rm -rf dist
	$(PY) -m build --no-isolation --outdir dist .

.PHONY: lock
lock: setup ## pin what package and images are made from, with hashes; ARGS=--upgrade: the newest
	@VENV=$(VENV) scripts/lock $(ARGS)

.PHONY: wheels
wheels: setup ## fetch what requirements.lock names into .wheels/, for make deb; ARCH=arm64
	@VENV=$(VENV) scripts/deb wheels

.PHONY: deb
deb: setup ## build the Debian package into dist/, offline, from .wheels/; ARCH=arm64
	@VENV=$(VENV) scripts/deb

.PHONY: install
install: ## program, units, completion, manual, example settings; DESTDIR= PREFIX=/usr/local
	@DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' SYSCONFDIR='$(SYSCONFDIR)' UNITDIR='$(UNITDIR)' \
	    scripts/install

.PHONY: uninstall
uninstall: ## take away what install brought, but settings, state and HAProxy's drop-in
	@DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' SYSCONFDIR='$(SYSCONFDIR)' UNITDIR='$(UNITDIR)' \
	    scripts/uninstall

.PHONY: clean
clean: ## remove what was built, but not .venv
	rm -rf build dist .demo .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info
