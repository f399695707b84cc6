# make demo runs the main job, make test passes the tests; each sets up all that it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test check docs bench bench-alerts bench-ranking bench-rendering bench-delivery bench-web bench-admin bench-flood bench-copying bench-scale bench-judged bench-calibration bench-publish torture torture-announcement torture-cluster check-mail mail-pictures format clean programs

demo: $(VENV)/installed
	$(BIN)/newsletter demo

test: $(VENV)/installed-bench programs
	$(BIN)/python -m pytest -n auto

check: $(VENV)/installed-dev docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The documentation as a site, in build/docs. A broken link is an error.
docs: $(VENV)/installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# All benchmarks at small sizes, in less than 15 minutes on two cores; each writes var/bench/NAME.json.
# DATA names folders of readers' libraries and judged interests (docs/explanation/ranking.md); without it, what needs
# them is skipped, and said to be. ARGS=--full measures what the documentation says, in hours.
bench: $(VENV)/installed-bench
	$(BIN)/python -m benchmarks.everything $(ARGS) $(DATA)

# Each by itself; ARGS=--full for the sizes of the documentation, ARGS=--help for more.
bench-alerts: $(VENV)/installed-bench
	$(BIN)/python -m benchmarks.alerts $(ARGS)

bench-ranking: $(VENV)/installed-bench
	$(BIN)/python -m benchmarks.ranking_speed $(ARGS)

bench-rendering: $(VENV)/installed-bench
	$(BIN)/python -m benchmarks.rendering $(ARGS)

bench-delivery: $(VENV)/installed-bench
	$(BIN)/python -m benchmarks.delivery $(ARGS)

bench-web: $(VENV)/installed-bench
	$(BIN)/python -m benchmarks.web $(ARGS)

# ARGS=--postgresql measures a store in PostgreSQL, too.
bench-admin: $(VENV)/installed-bench
	$(BIN)/python -m benchmarks.admin $(ARGS)

bench-flood: $(VENV)/installed-bench
	$(BIN)/python -m benchmarks.flood $(ARGS)

bench-copying: $(VENV)/installed-bench
	$(BIN)/python -m benchmarks.copying $(ARGS)

bench-scale: $(VENV)/installed-bench
	$(BIN)/python -m benchmarks.scale $(ARGS)

# The quality of the ranking, and the fit of the match, on the folders in DATA.
bench-judged: $(VENV)/installed-bench
	$(BIN)/python -m benchmarks.ranking $(DATA) $(ARGS)

bench-calibration: $(VENV)/installed-bench
	$(BIN)/python -m benchmarks.calibration $(DATA) $(ARGS)

# Copies the results of var/bench into the documentation, which draws them.
bench-publish: $(VENV)/installed-bench
	$(BIN)/python -m benchmarks.publish $(ARGS)

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
