# Lamppost. `make demo` and `make test` need Python 3.11 to 3.13 and git; the rest they bring.
#
#   make demo    set up, then play a city on a simulated camera and leave pictures in demo/
#   make test    set up, then run every test
#   make check   lint, types, layers, architecture (changes nothing)
#   make fix     what the formatter and linter can mend by themselves
#   make bench   speed and memory as ratios, measured side by side
#   make cluster  install ejabberd and try the link on a cluster of two nodes
#   make tpm     install swtpm and try the log's key in a TPM 2.0, in software
#   make coverage  fail if a line or a branch of agent/core/policy is not tested
#   make contract  the MQTT contract as a page for integrators, in dist/contract.html
#   make page    put the age library that its lock names into the page that verifies evidence (needs npm)
#   make models  fetch the net that sees people, by name, version and SHA-256
#   make privacy how much of people can be seen in what is stored (ONLY=busy,empty PRIVACY="--seconds 30 --json FILE")
#   make deb     the camera's package, dist/lamppost-agent_*.deb (SUITE=bookworm|trixie ARCH=amd64|arm64; both processors)
#   make hil     the bench: the package installed and tried as it will die (TIER=nspawn|qemu|arm64|pi), as root
#   make lock    renew the two lock files
#   make clean   remove what the above made

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(not (3,11) <= sys.version_info < (3,14))' 2>/dev/null && { echo $$p; break; }; done)
VENV   ?= .venv
BIN     = $(VENV)/bin
READY   = $(VENV)/.ready
# What apt must bring, and why: age opens our files in a test as a stranger would,
# ffmpeg plays and measures them, e2fsprogs makes the small disks of the fault tests,
# mosquitto is the broker the link is tried against, mtools writes on cards, chromium opens our pages as a person would;
# driven by Playwright, whose Node needs libatomic; libpangoft2 sets the type of PDF reports;
# Debian's own Python comes without venv. What a system's apt does not have (Ubuntu's has no chromium) is left out, and the
# tests that need it skip.
APT     = age ffmpeg e2fsprogs mosquitto mtools chromium libatomic1 libpangoft2-1.0-0 python3-venv
NEEDS   = age ffmpeg mkfs.ext4 mosquitto mcopy chromium
LIBRARIES = libatomic.so.1 libpangoft2-1.0.so.0

.PHONY: demo test check fix bench models page privacy coverage cluster tpm contract lock clean setup apt deb deb-twice hil

setup: $(READY)

$(READY): requirements-dev.lock pyproject.toml | apt
	@test -n "$(PYTHON)" || { echo "lamppost: error: no Python 3.11 to 3.13 with venv found"; \
	  echo "lamppost: hint: sudo apt-get install python3 python3-venv, or name one: make PYTHON=/path/to/python3.12"; exit 69; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

apt:
	@PATH="$$PATH:/usr/sbin:/sbin"; missing=; for n in $(NEEDS); do command -v $$n >/dev/null || missing=yes; done; \
	for n in $(LIBRARIES); do ldconfig -p | grep -q $$n || missing=yes; done; \
	test -n "$(PYTHON)" || missing=yes; \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" = 0 ]; then s=; elif sudo -n true 2>/dev/null; then s=sudo; else \
	    echo "lamppost: error: this machine lacks some of: $(APT)"; \
	    echo "lamppost: hint: sudo apt-get install $(APT)"; exit 69; fi; \
	  $$s apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$s apt-get install -y -qq --no-install-recommends \
	    $$(for p in $(APT); do LC_ALL=C apt-cache policy $$p | grep -q 'Candidate: [0-9]' && echo $$p; done) >/dev/null; \
	fi

demo: setup
	-@$(BIN)/python -m provisioning.net_weights models >/dev/null
	$(BIN)/lamppost demo --out demo $(if $(SOURCE),--source $(SOURCE))

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m provisioning.firmware firmware-config
	$(BIN)/pytest -q tests/test_architecture.py

fix: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Three at once, each file in one process: much of a test's time is waiting for a broker, a camera, a browser.
test: setup
	$(BIN)/pytest -n 3 --dist loadfile

bench: setup
	$(BIN)/python -m tests.bench $(BENCH)

# Erlang is 100 MB, so that it is brought only where somebody asks; `make test` skips what needs it.
# Masked first: the test starts nodes of its own, and nobody asked for an XMPP server on this machine.
cluster: setup
	@command -v erl >/dev/null && ls /usr/lib/*/ejabberd-*/ebin/ejabberd.app >/dev/null 2>&1 || { \
	  if [ "$$(id -u)" = 0 ]; then s=; else s=sudo; fi; \
	  $$s systemctl mask --quiet ejabberd 2>/dev/null && echo "ejabberd's service stays off; sudo systemctl unmask ejabberd"; \
	  $$s apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$s apt-get install -y -qq --no-install-recommends ejabberd >/dev/null; }
	$(BIN)/pytest tests/system/test_ejabberd_cluster.py

TPM = swtpm libtss2-dev libtss2-tcti-swtpm0 gcc
tpm: setup
	@command -v swtpm >/dev/null && test -e /usr/include/tss2/tss2_esys.h || { \
	  if [ "$$(id -u)" = 0 ]; then s=; else s=sudo; fi; \
	  $$s apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$s apt-get install -y -qq --no-install-recommends $(TPM) >/dev/null; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'tpm2-pytss>=3'
	$(BIN)/pytest tests/contract/test_keyring_contract.py

coverage: setup
	@mkdir -p build
	$(BIN)/coverage run --data-file=build/coverage --source=agent/core/policy -m pytest -q \
	  tests/unit/test_policy_*.py tests/unit/test_bundle.py tests/component/test_policy_*.py tests/component/test_authority_meets_device.py
	$(BIN)/coverage report --data-file=build/coverage --fail-under=100 --show-missing --skip-covered

contract: setup
	@mkdir -p dist
	$(BIN)/python -m provisioning.backend.contract yaml > provisioning/backend/asyncapi.yaml
	$(BIN)/python -m provisioning.backend.contract html > dist/contract.html
	@echo dist/contract.html

page:
	cd provisioning/web/evidence/age && npm ci --ignore-scripts --no-audit --no-fund && npm run --silent build

models: setup
	$(BIN)/python -m provisioning.net_weights models

privacy: models
	$(BIN)/python -m tests.privacy --pictures build/privacy $(if $(ONLY),--only $(ONLY)) $(PRIVACY)

SUITE  ?= trixie
ARCH   ?= amd64 arm64
deb: setup models
	@for arch in $(ARCH); do PYTHONPATH=. $(BIN)/python debian/build_package.py --suite $(SUITE) --arch $$arch --out dist || exit; done

# Two builds of one commit must be equal, byte for byte.
deb-twice: deb
	@for arch in $(ARCH); do PYTHONPATH=. $(BIN)/python debian/build_package.py --suite $(SUITE) --arch $$arch --out build/again || exit; done
	@for package in build/again/*.deb; do cmp $$package dist/$$(basename $$package) && echo "$$(basename $$package): equal" || exit; done

TIER   ?= nspawn
hil: setup
	PYTHON=$(BIN)/python hil/run.sh $(TIER)

# A lock names versions and hashes and no address: where packages come from is for whoever installs to say.
lock:
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	  --no-header -q --upgrade -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
	  --no-header -q --upgrade -o requirements-dev.lock
	@! grep -n '://' requirements.lock requirements-dev.lock

clean:
	rm -rf $(VENV) demo/*.mp4 .mypy_cache .ruff_cache .pytest_cache
