#!/usr/bin/env bash
# EMR bootstrap action and Dataproc initialisation action: a Python with the dependencies on every machine.
# Usage: bootstrap.sh WHEEL [CONSTRAINTS [PACKAGE...]]
#   WHEEL        the project's wheel (make wheel), an s3:// or gs:// URL or a local path
#   CONSTRAINTS  the project's constraints.txt, likewise: machines that are added later get the same versions
#   PACKAGE      what else the inputs need, such as gcsfs for gs://
# Dataproc gives such scripts no arguments: there the cluster's metadata `wheel`, `constraints` and `packages` are read.
# The clusters' own Python may be older than 3.11, so a Python of our own comes first. Spark stays the cluster's.
set -euo pipefail

GET_METADATA=/usr/share/google/get_metadata_value

argument_or_metadata() {
    if [ -n "$1" ]; then
        echo "$1"
    elif [ -x "$GET_METADATA" ]; then
        "$GET_METADATA" "attributes/$2" || true
    fi
}

WHEEL="$(argument_or_metadata "${1:-}" wheel)"
CONSTRAINTS="$(argument_or_metadata "${2:-}" constraints)"
read -r -a PACKAGES <<<"$(argument_or_metadata "${*:3}" packages)"
if [ -z "$WHEEL" ]; then
    echo "usage: bootstrap.sh WHEEL [CONSTRAINTS [PACKAGE...]] (on Dataproc: --metadata wheel=...,constraints=...)" >&2
    exit 2
fi
[ -n "$CONSTRAINTS" ] || echo "no constraints were given: the newest versions are installed" >&2
HOME_FOLDER="${METACLIP_HOME:-/opt/metaclip-spark}"
SUDO=""
[ "$(id -u)" -eq 0 ] || SUDO="sudo"

find_python() {
    local name
    for name in python3.11 python3.12; do
        if command -v "$name" >/dev/null 2>&1 && "$name" -c 'import venv, ensurepip' >/dev/null 2>&1; then
            command -v "$name"
            return 0
        fi
    done
    return 1
}

fetch() {
    case "$1" in
        s3://*) aws s3 cp --only-show-errors "$1" "$FOLDER/" ;; # --quiet is silent about errors, too
        gs://*) gsutil -q cp "$1" "$FOLDER/" ;;
        *) cp "$1" "$FOLDER/" ;;
    esac
}

# First what fails at once where a name is wrong.
FOLDER="$(mktemp -d)"
trap 'rm -rf "$FOLDER"' EXIT
fetch "$WHEEL"
PINNED=()
if [ -n "$CONSTRAINTS" ]; then
    fetch "$CONSTRAINTS"
    PINNED=(--constraint "$FOLDER/${CONSTRAINTS##*/}")
fi

if ! PYTHON="$(find_python)"; then
    if command -v dnf >/dev/null 2>&1; then
        $SUDO dnf install -y -q python3.11 python3.11-pip
    elif command -v apt-get >/dev/null 2>&1; then
        $SUDO apt-get update -qq || true
        $SUDO env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends python3.11 python3.11-venv || true
    fi
    PYTHON="$(find_python)" || { echo "no Python 3.11 or 3.12 here and none could be installed" >&2; exit 1; }
fi

$SUDO "$PYTHON" -m venv "$HOME_FOLDER"
# pandas: PySpark imports it in the workers. The project's own code comes with --py-files, so that it can change
# without a new cluster.
$SUDO "$HOME_FOLDER/bin/python" -m pip install --quiet "${PINNED[@]}" "$FOLDER"/*.whl "pandas>=2,<3" "${PACKAGES[@]}"
$SUDO "$HOME_FOLDER/bin/python" -m pip uninstall --quiet --yes metaclip-spark
"$HOME_FOLDER/bin/python" -c 'import boto3, deflate, fastwarc, numba, pandas, pyarrow, selectolax'
echo "ready: $HOME_FOLDER/bin/python"
