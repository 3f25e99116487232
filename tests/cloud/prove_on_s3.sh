#!/usr/bin/env bash
# The tests of this folder on object storage: moto's S3 server on loopback, DVC's own way to S3, an environment beside .venv
# for both, since they move one version of the lock (python-dateutil). prove_on_s3.sh [FOLDER [PYTEST_OPTION...]]
set -euo pipefail
cd "$(dirname "$0")/../.."
FOLDER=$(realpath -m "${1:-/tmp/warraq-s3}")
mkdir -p "$FOLDER"
VENV=$FOLDER/env make setup
"$FOLDER/env/bin/uv" pip install --quiet --python "$FOLDER/env/bin/python" --requirements requirements.lock \
  --overrides <(echo 'python-dateutil==2.9.0.post0') 'dvc-s3==3.3.0' 'moto[s3,server]==5.2.5'
PORT=$("$FOLDER/env/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$FOLDER/env/bin/moto_server" --host 127.0.0.1 --port "$PORT" >"$FOLDER/moto.log" 2>&1 &
trap 'kill %1' EXIT
export AWS_ENDPOINT_URL=http://127.0.0.1:$PORT AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=us-east-1
"$FOLDER/env/bin/python" - <<'EOF'
import time, boto3
for _ in range(100):
    try:
        boto3.client("s3").create_bucket(Bucket="warraq")
        break
    except Exception:
        time.sleep(0.3)
else:
    raise SystemExit("moto's server did not start")
EOF
WARRAQ_TEST_REMOTE=s3://warraq/rented OMP_NUM_THREADS=1 "$FOLDER/env/bin/pytest" -p no:cacheprovider --basetemp="$FOLDER/pytest" -v tests/cloud "${@:2}"
