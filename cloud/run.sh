#!/usr/bin/env bash
# The pipeline for STUDENT on this machine, from a clone of a packed project to results on its DVC remote: docs/cloud.md.
# OWN_HOST=1 says that the machine is yours. Ends with 0 (done), 1 (a stage failed), 2 (refused), 143 (told to end).
set -euo pipefail
cd "$(dirname "$0")/.."
VENV=${VENV:-.venv}
make setup
for kind in s3 gs azure ssh; do # what DVC needs for such a remote
  if grep -q "url = $kind://" .dvc/config && ! "$VENV/bin/python" -c "import dvc_$kind" 2>/dev/null; then
    "$VENV/bin/uv" pip install --quiet --python "$VENV/bin/python" --requirements pyproject.toml --extra "$kind"
  fi
done
exec "$VENV/bin/warraq" cloud run "${STUDENT:-nano}" ${OWN_HOST:+--own-host}
