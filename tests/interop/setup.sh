#!/usr/bin/env bash
# setup.sh DIR: the real polyswarm-client in a virtual environment of its own, for Python 3.11. About a minute.
set -euo pipefail
folder=$(realpath -m "${1:?usage: setup.sh DIR}")
cd "$(dirname "$0")"
python=$(command -v python3.11) || { echo "Python 3.11 is missing: polyswarm-client runs on nothing later" >&2; exit 2; }
"$python" -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check --upgrade pip wheel 'setuptools<81' # web3 imports pkg_resources
"$folder/bin/pip" install --quiet --disable-pip-version-check --no-deps --requirement requirements.txt
PYTHONPATH=shim PYTHONWARNINGS=ignore "$folder/bin/microengine" --help >"$folder/ready"
