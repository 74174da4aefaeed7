# Shared by the scripts of this folder; sourced, not run.
#
# PYTHON  the interpreter that makes the environment   (default: python3)
# VENV    where the environment is, made when missing  (default: .venv in the checkout)

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
PYTHON="${PYTHON:-python3}"
VENV="${VENV:-$ROOT/.venv}"

die() {
    printf '%s\n' "$*" >&2
    exit 1
}

make_venv() {
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        die "Python 3.10 or newer is needed, and $PYTHON is not it. Name one: PYTHON=python3.12 $0"
    "$PYTHON" -m venv "$VENV" ||
        die "$PYTHON cannot make a virtual environment. On Debian and Ubuntu: apt-get install python3-venv"
}

# ensure_venv EXTRAS: the project with these extras is installed in $VENV, from the pinned versions.
# The stamp remembers what was installed, so that only a change of the requirements installs again.
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
        die "The installation failed; the reason is above. Run the command again once it is mended."
    printf '%s\n' "$wanted" >"$stamp"
}

# lowest_versions: NAME==VERSION for each bound that is a lowest version, of the project itself and of its server
lowest_versions() {
    sed -n -E '/^(dependencies|serve) = \[/,/^\]/s/^ *"([^>"]*)>=([0-9.]*)".*/\1==\2/p' "$ROOT/pyproject.toml"
}
