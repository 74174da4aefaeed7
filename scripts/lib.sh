# Shared by the scripts in this folder; sourced, not executed.
#
# PYTHON  the interpreter for the environment               (default: python3)
# VENV    folder of the environment, created if missing     (default: .venv in the checkout)

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
PYTHON="${PYTHON:-python3}"
VENV="${VENV:-$ROOT/.venv}"

# How pytest shares tests among processes. Those of a file stay together, because they share its fixtures;
# tests/conftest.py puts long files first, so that all processes end together. `-n 0` runs them all in one.
IN_PARALLEL=(--numprocesses logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder)

die() {
    printf '%s\n' "$*" >&2
    exit 1
}

make_venv() {
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        die "Python 3.10 or newer is required, but $PYTHON is older. Name another one: PYTHON=python3.12 $0"
    "$PYTHON" -m venv "$VENV" ||
        die "$PYTHON cannot create a virtual environment. On Debian and Ubuntu: apt-get install python3-venv"
}

# ensure_venv EXTRAS: make sure that the project with these extras is installed in $VENV, with the pinned versions.
# The stamp file records what was installed, so that it is installed again only if the requirements change.
ensure_venv() {
    local extras="$1" stamp="$VENV/.installed-$1" wanted
    wanted="$(cd "$ROOT" && { pwd && cat pyproject.toml constraints.txt; } | cksum)"
    if [ -x "$VENV/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
        return
    fi
    printf 'Installing the project with [%s] into %s (a minute or two, once) ...\n' "$extras" "$VENV" >&2
    [ -x "$VENV/bin/python" ] || make_venv
    "$VENV/bin/python" -m pip install --quiet --no-input --disable-pip-version-check \
        --constraint "$ROOT/constraints.txt" --editable "$ROOT[$extras]" ||
        die "The installation failed; the reason is above. Fix it, then run the command again."
    printf '%s\n' "$wanted" >"$stamp"
}

# lowest_versions: NAME==VERSION for each bound that is a lowest version, of the project itself and of its server
lowest_versions() {
    sed -n -E '/^(dependencies|serve) = \[/,/^\]/s/^ *"([^>"]*)>=([0-9.]*)(,[^"]*)?".*/\1==\2/p' "$ROOT/pyproject.toml"
}
