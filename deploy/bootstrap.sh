#!/usr/bin/env bash
# EMR bootstrap action and Dataproc initialisation action: a Python with the dependencies on every machine.
# Usage: bootstrap.sh WHEEL   (s3://, gs:// or a local path of the project's wheel: make wheel)
# The clusters' own Python may be older than 3.11, so a Python of our own comes first. Spark stays the cluster's.
set -euo pipefail
WHEEL="${1:?give the s3:// or gs:// path of the wheel}"
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

if ! PYTHON="$(find_python)"; then
    if command -v dnf >/dev/null 2>&1; then
        $SUDO dnf install -y -q python3.11 python3.11-pip
    elif command -v apt-get >/dev/null 2>&1; then
        $SUDO apt-get update -q && $SUDO apt-get install -y -q python3.11 python3.11-venv || true
    fi
    PYTHON="$(find_python)" || { echo "no Python 3.11 or 3.12 here and none could be installed" >&2; exit 1; }
fi

FOLDER="$(mktemp -d)"
case "$WHEEL" in
    s3://*) aws s3 cp --quiet "$WHEEL" "$FOLDER/" ;;
    gs://*) gsutil -q cp "$WHEEL" "$FOLDER/" ;;
    *) cp "$WHEEL" "$FOLDER/" ;;
esac
$SUDO "$PYTHON" -m venv "$HOME_FOLDER"
# pandas: PySpark imports it in the workers. The project's own code comes with --py-files, so that it can change
# without a new cluster.
$SUDO "$HOME_FOLDER/bin/python" -m pip install --quiet "$FOLDER"/*.whl "pandas>=2,<3"
$SUDO "$HOME_FOLDER/bin/python" -m pip uninstall --quiet --yes metaclip-spark
"$HOME_FOLDER/bin/python" -c 'import boto3, fastwarc, numba, pyarrow, selectolax'
echo "ready: $HOME_FOLDER/bin/python"
