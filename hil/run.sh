#!/bin/sh
# `make hil TIER=nspawn|qemu|arm64|pi`: what a tier needs, its tests, and the report. As root; the package must be in dist/.
set -eu
cd "$(dirname "$0")/.."
tier=${1:-nspawn}
python=${PYTHON:-.venv/bin/python}
report=build/hil/report

say() { echo "hil: $*" >&2; }

mkdir -p "$report"
rm -rf "$report/pictures"
# labgrid is the bench's alone: apart from the environment of the tests, which treats every warning as an error.
if [ ! -e build/hil/site/.ready ] || [ hil/requirements.lock -nt build/hil/site/.ready ]; then
	"$python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --upgrade \
		--target build/hil/site -r hil/requirements.lock
	touch build/hil/site/.ready
fi

# The newest package of an architecture.
package() {
	found=$(ls -t dist/lamppost-agent_*+deb13_"$1".deb 2>/dev/null | head -n 1)
	[ -n "$found" ] || { say "error: no $1 package in dist/"; say "hint: make deb SUITE=trixie ARCH=$1"; exit 66; }
	echo "$found"
}

needs() {
	for program in "$@"; do
		command -v "$program" >/dev/null || { say "error: $program is not here"; say "hint: README.md says what to install"; exit 69; }
	done
}

[ "$tier" = pi ] || [ "$(id -u)" = 0 ] || { say "error: trees are made and disks mounted as root"; exit 77; }
environment=hil/env/$tier.yaml
talk=
case "$tier" in
nspawn)
	needs mmdebstrap systemd-nspawn qemu-storage-daemon mosquitto mcopy ip nft
	deb=$(package "$(dpkg --print-architecture)")
	PYTHONPATH=. "$python" -m hil.tree --arch "$(dpkg --print-architecture)" build/hil/trixie "$deb"
	tests="hil/test_units.py hil/test_sandbox.py hil/test_first_boot.py hil/test_power_cuts.py hil/test_replayed_cuts.py
		hil/test_people.py hil/test_revoked.py hil/test_card.py hil/test_package.py hil/test_soak.py"
	;;
qemu)
	needs mmdebstrap systemd-nspawn qemu-system-x86_64 qemu-img
	deb=$(package amd64)
	PYTHONPATH=. "$python" -m hil.tree --kernel build/hil/machine "$deb"
	tests="hil/test_machine.py hil/test_failing_card.py hil/test_power_cuts.py"
	;;
arm64)
	needs mmdebstrap systemd-nspawn qemu-aarch64-static arch-test
	deb=$(package arm64)
	PYTHONPATH=. "$python" -m hil.tree --arch arm64 build/hil/arm64 "$deb"
	environment=hil/env/nspawn.yaml
	tests=hil/test_arm64.py
	;;
pi)
	tests="hil/test_units.py hil/test_sandbox.py hil/test_lamp.py hil/test_people.py hil/test_power_cuts.py"
	talk=-s # ManualPowerDriver asks, and pytest would let nobody answer
	;;
*)
	say "error: there is no tier $tier"
	say "hint: nspawn, qemu, arm64 or pi"
	exit 64
	;;
esac

status=0
# shellcheck disable=SC2086 # a list of files, and perhaps an option
PYTHONPATH=build/hil/site HIL_PACKAGE=${deb:-} "$python" -m pytest -c hil/pytest.ini --lg-env "$environment" \
	--junitxml="$report/junit.xml" -o junit_logging=system-out $talk $tests || status=$?
PYTHONPATH=. "$python" -m hil.report "$report/junit.xml" "$report/index.html"
[ ! -e build/hil/sandbox.json ] || PYTHONPATH=. "$python" -m hil.sandbox_table build/hil/sandbox.json systemd/README.md
exit "$status"
