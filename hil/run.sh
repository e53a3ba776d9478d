#!/bin/sh
# `make hil TIER=nspawn`: what a tier needs, its tests, and the report. As root; the package must be in dist/.
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

case "$tier" in
nspawn)
	[ "$(id -u)" = 0 ] || { say "error: containers are booted as root"; exit 77; }
	package=$(ls -t dist/lamppost-agent_*+deb13_"$(dpkg --print-architecture)".deb 2>/dev/null | head -n 1)
	[ -n "$package" ] || { say "error: no package in dist/"; say "hint: make deb SUITE=trixie"; exit 66; }
	PYTHONPATH=. "$python" -m hil.tree build/hil/trixie "$package"
	tests=hil
	;;
pi)
	tests="hil/test_units.py hil/test_sandbox.py hil/test_power_cuts.py"
	;;
*)
	say "error: there is no tier $tier yet"
	say "hint: nspawn or pi; README.md says what the others will be"
	exit 64
	;;
esac

status=0
# shellcheck disable=SC2086 # a list of files
PYTHONPATH=build/hil/site "$python" -m pytest -c hil/pytest.ini --lg-env "hil/env/$tier.yaml" \
	--junitxml="$report/junit.xml" -o junit_logging=system-out $tests || status=$?
PYTHONPATH=. "$python" -m hil.report "$report/junit.xml" "$report/index.html"
[ ! -e build/hil/sandbox.json ] || PYTHONPATH=. "$python" -m hil.sandbox_table build/hil/sandbox.json systemd/README.md
exit "$status"
