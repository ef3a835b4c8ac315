# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
# The doors of the house. Each target installs by itself what it needs (Debian packages and a
# virtual environment in .venv) and says so. The work is done by tests/gates and tests/lab.

.DEFAULT_GOAL := help
.SUFFIXES:
MAKEFLAGS += --no-print-directory --no-builtin-rules
export PYTHONDONTWRITEBYTECODE := 1

PYTHON := /usr/bin/python3
KEEP ?=
ONLY ?=
INPUTS ?=
IDLE ?= 3600
STOPS ?= 200
KILLS ?= 100
SEED ?=
GATES := $(PYTHON) -m tests.gates
RUN := $(GATES).run

# A target's help is what follows the two number signs on its line.
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

# Debian's smallest installation has no Python.
$(PYTHON):
	apt-get update -q
	apt-get install -y -q --no-install-recommends python3 python3-venv

venv: $(PYTHON) ## .venv with the pinned tools (quick when it is there already)
	@$(GATES).venv

pins: venv ## resolve requirements-dev.in anew into requirements-dev.txt
	@$(GATES).venv --pin

packages: $(PYTHON) ## the Debian packages that tests and lab need (quick when they are there)
	@$(GATES).packages

agent: venv ## the agent's archive for roles/piranha_router
	@.venv/bin/python files/piranha-agent/bundle.py

check: venv ## lint, types and unit tests: under 2 minutes, after every change
	@$(RUN) check --keep-going

gates: venv ## ansible-test sanity, ansible-lint, docs, changelog, licences, build and install
	@$(RUN) gates

checks-test: venv ## every kind of health check against a real server of its kind
	@$(RUN) checks

kernel-test: venv agent ## the libraries and modules against a real IPVS table
	@$(RUN) kernel

cluster-test: venv agent ## whole agents in network namespaces under traffic and kills
	@$(RUN) cluster

page-test: venv agent ## the web page in a real browser; screenshots in build/page
	@$(RUN) page

page-lab: venv agent ## the same in the lab, with traffic through what it makes (scenario page)
	@$(RUN) page-lab

molecule: venv agent ## roles and playbooks on machines with systemd (scenario nat)
	@$(RUN) molecule

test: venv agent ## everything above, quick layers first, with a closing table
	@$(RUN) test

molecule-all: venv agent ## the other scenarios: direct, tunnel, failover, two clusters, removal …
	@$(RUN) scenarios

test-all: venv agent ## test, what it leaves out, and the other scenarios: under 90 minutes
	@$(RUN) test-all

test-release: venv agent ## before a release: test-all, other Pythons and cores, the browser, fuzz, patience, the demo
	@$(RUN) test-release
	@$(MAKE) fuzz INPUTS=50000
	@$(MAKE) patience IDLE=120 STOPS=40 KILLS=5
	@$(MAKE) demo

bench: venv packages agent ## how fast we are, beside ipvsadm and keepalived, in the same run (ONLY=lvs_cf: one part)
	@.venv/bin/python -m tests.bench.run $(ONLY)

fuzz: venv ## a million broken lvs.cf files, heartbeats, and replies for each parser (INPUTS=… SEED=…)
	@.venv/bin/python -m tests.fuzz.lvs_cf $(if $(INPUTS),--inputs $(INPUTS)) $(if $(SEED),--seed $(SEED))
	@.venv/bin/python -m tests.fuzz.heartbeats $(if $(INPUTS),--inputs $(INPUTS)) $(if $(SEED),--seed $(SEED))
	@.venv/bin/python -m tests.fuzz.replies $(if $(INPUTS),--inputs $(INPUTS)) $(if $(SEED),--seed $(SEED))

patience: venv packages ## no takeover without a reason: an hour on a busy machine, 200 stops, 100 kills (IDLE=… STOPS=… KILLS=…)
	@PIRANHA_IDLE=$(IDLE) PIRANHA_STOPS=$(STOPS) PIRANHA_KILLS=$(KILLS) \
	  .venv/bin/python -m pytest -v -s tests/cluster/test_patience.py
	@PIRANHA_LVSD_KILLS=$(KILLS) tests/lab/in-ipvs-kernel --timeout 1800 \
	  .venv/bin/python -m pytest -v -s tests/cluster/test_lvsd_kills.py

demo: venv packages agent ## builds a cluster in the lab and kills parts of it (KEEP=1 leaves it up)
	@KEEP=$(KEEP) .venv/bin/python tests/lab/demo.py

lab-up: venv packages agent ## the lab's machines, bare
	@tests/lab/lab up

lab-down: venv ## every trace of the lab away
	@tests/lab/lab down

lab-test: venv packages ## the lab's own test: up, broken, down without a trace
	@$(RUN) lab

fresh: $(PYTHON) ## make check in a fresh clone with an empty environment
	@$(GATES).fresh check

docs: venv ## the documentation site in build/docs/html
	@PATH="$(CURDIR)/.venv/bin:$$PATH" $(GATES).docsite

dist: venv ## the collection's release tarball in build/dist, the agent inside
	@$(GATES).collection --dist

clean: ## remove what was made (build and the archive), not .venv
	@! grep -F ' $(CURDIR)/build/' /proc/mounts || { echo 'stopped: the lab is up; first make lab-down'; exit 1; }
	rm -rf --one-file-system build roles/piranha_router/files/piranha-agent.tar.xz \
	  roles/piranha_router/files/piranha-agent.json

.PHONY: help venv pins packages agent check gates checks-test kernel-test cluster-test page-test page-lab molecule molecule-all test test-all test-release \
	bench fuzz patience demo lab-up lab-down lab-test fresh docs dist clean
