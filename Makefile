# make demo runs the main job, make test passes the tests; each sets up all that it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test check docs bench bench-alerts bench-ranking bench-rendering bench-delivery bench-web bench-admin bench-flood bench-scale torture torture-announcement torture-cluster check-mail mail-pictures format clean programs

demo: $(VENV)/installed
	$(BIN)/newsletter demo

test: $(VENV)/installed-dev programs
	$(BIN)/python -m pytest -n auto

check: $(VENV)/installed-dev docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The documentation as a site, in build/docs. A broken link is an error.
docs: $(VENV)/installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# DATA names folders of readers' libraries; docs/explanation/ranking.md describes them.
bench: $(VENV)/installed-dev
	$(BIN)/python -m benchmarks.ranking $(DATA)

# Time of 20,000 alerts and 1,500 papers, beside SQLite's full-text search; ten seconds.
bench-alerts: $(VENV)/installed-dev
	$(BIN)/python -m benchmarks.alerts

# Time and memory of ranking 100,000 subscribers; about twenty minutes, most of it to make up 250,000 papers, once.
bench-ranking: $(VENV)/installed-bench
	$(BIN)/python -m benchmarks.ranking_speed

# Messages a second; nodemailer beside ours where npm is.
bench-rendering: $(VENV)/installed-bench
	$(BIN)/python -m benchmarks.rendering

# Messages a second on the whole road, to Postfix's smtp-sink (Debian's postfix).
bench-delivery: $(VENV)/installed-bench
	$(BIN)/python -m benchmarks.delivery

# How fast the site answers, alone and while an edition is sent (Debian's wrk and postfix); ten minutes, and ten more to
# make up 250,000 papers, once.
bench-web: $(VENV)/installed-bench
	$(BIN)/python -m benchmarks.web

# How fast the admin site and the API answer with 100,000 subscribers; three minutes to fill the store, once, and one to
# measure. ARGS=--postgresql measures a store in PostgreSQL, too; ARGS="--subscribers 2000" takes seconds.
bench-admin: $(VENV)/installed-bench
	$(BIN)/python -m benchmarks.admin $(ARGS)

# A flood of connections beside an edition; three minutes, all of it on loopback.
bench-flood: $(VENV)/installed-bench
	$(BIN)/python -m benchmarks.flood

# A million readers by each engine; hours. ARGS="--readers 20000 --sent 10000" makes it minutes.
bench-scale: $(VENV)/installed-bench
	$(BIN)/python -m benchmarks.scale $(ARGS)

# Two processes send to 2,000 readers and are killed at random moments, 50 times over; about ten minutes.
torture: $(VENV)/installed-dev
	$(BIN)/python -m tests.torture

# An announcement to 5,000 readers in 20 time zones; the running newsletter is killed ten times; about ten minutes.
torture-announcement: $(VENV)/installed-dev
	$(BIN)/python -m tests.announcement_torture $(ARGS)

# A cluster of three workers and PostgreSQL sends to 20,000 readers while they are killed, stopped and begun anew.
# ARGS=--hosts gives each worker a host of its own (a network namespace; wants root, iproute2 and nftables).
torture-cluster: $(VENV)/installed-dev
	$(BIN)/python -m tests.cluster_torture $(ARGS)

# Digests as mail programs show them, and their heights; needs Chromium.
mail-pictures: $(VENV)/installed-bench
	$(BIN)/python -m benchmarks.mail_pictures

# What the official MJML compiler and caniemail make of our templates; both come by npm.
check-mail: $(VENV)/installed-bench
	$(BIN)/python -m benchmarks.mail_programs

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/installed: pyproject.toml constraints.txt
	@echo "Installing into $(VENV) (about a minute) ..."
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	@echo "Installing what tests and checks need ..."
	$(INSTALL) --editable '.[cluster,test,check,docs]'
	@touch $@

$(VENV)/installed-bench: $(VENV)/installed-dev
	$(INSTALL) --editable '.[bench]'
	@touch $@

# Programs that tests run beside ours: faketime sets the clock of a process, SpamAssassin judges a message,
# Chromium shows one, Dovecot has a mailbox (for the tests it runs without rights, on a port of its own), iproute2 sets up
# a network of its own for a name server.
programs:
	@missing=""; for program in chromium faketime spamassassin; do command -v $$program >/dev/null || missing="$$missing $$program"; done; \
	test -x /usr/lib/dovecot/imap || missing="$$missing dovecot-imapd"; \
	command -v ip >/dev/null || missing="$$missing iproute2"; \
	if [ -n "$$missing" ]; then \
		echo "Installing$$missing ..."; \
		export DEBIAN_FRONTEND=noninteractive; \
		apt-get install -qq --no-install-recommends $$missing >/dev/null 2>&1 || \
		{ apt-get update -qq && apt-get install -qq --no-install-recommends $$missing >/dev/null; } || \
		{ sudo apt-get update -qq && sudo apt-get install -qq --no-install-recommends $$missing >/dev/null; }; \
	fi

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
