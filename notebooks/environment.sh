# Read by notebooks/start and tests/run from the project's folder: makes .venv, and asks Debian for what is missing.

say() {
    printf '%s\n' "$*" >&2
}

stop() {
    say "$@"
    exit 1
}

# debian PACKAGE...: install Debian packages, as root or through sudo.
debian() {
    command -v apt-get >/dev/null 2>&1 || stop "Please install $* with your system's package manager, then run this again."
    if [ "$(id -u)" -eq 0 ]; then
        as_root=
    elif command -v sudo >/dev/null 2>&1; then
        as_root=sudo
    else
        stop "Please ask an administrator to run: apt-get install $*"
    fi
    say "Installing $* with apt-get."
    $as_root apt-get update -q >&2 || stop "apt-get update failed, see above. Is this machine connected to the internet?"
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >&2 ||
        stop "apt-get could not install $*, see above."
}

# find_python: print the first Python that is new enough.
find_python() {
    for python in python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$python" >/dev/null 2>&1 && "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
            echo "$python"
            return
        fi
    done
    stop "linkup_nb needs Python 3.11 or newer, and there is none here. On Debian 12: apt-get install python3"
}

# environment PROJECT: make .venv where there is none that works, and install the project, "." or ".[test]", into it.
environment() {
    if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
        python=$(find_python) || exit 1
        # Debian keeps what `python3 -m venv` needs in a package of its own, named after the version.
        "$python" -c 'import ensurepip, venv' 2>/dev/null ||
            debian "$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
        say "Making .venv with $("$python" --version)."
        "$python" -m venv --clear .venv || stop "$python could not make .venv, see above."
    fi
    say "Installing linkup_nb into .venv. The first time this takes a minute or two."
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable "$1" ||
        stop "pip could not install linkup_nb, see above. Is this machine connected to the internet?"
}
