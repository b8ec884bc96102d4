#!/usr/bin/env bash
# Files with curl: a run of your own code sends a file, in two parts; anybody reads it, or a part of it.
#
#     PROTEINX_MASTER=http://127.0.0.1:8000 bash examples/http/files.sh
set -euo pipefail
source "$(dirname "$0")/ask.sh"
file=$(mktemp)
trap 'rm -f "$file"' EXIT
printf 'weights of a model' > "$file"

job=$(ask POST /api/runs '{"name": "curl-run", "config": {"lr": 0.1}}' | field job_id)
path="/api/jobs/$job/artifacts/model/weights.bin"
digest=$(sha256sum "$file" | cut -c-64)
# What broke off goes on where it was: HEAD says how much has arrived.
head -c 7 "$file" | send "$path" -X PUT --data-binary @- -H 'upload-offset: 0' -H 'upload-length: 18'
offset=$(send "$path" -I | tr -d '\r' | sed -n 's/^upload-offset: //Ip')
tail -c "+$((offset + 1))" "$file" | send "$path" -X PUT --data-binary @- -H "upload-offset: $offset" \
  -H 'upload-length: 18' -H "upload-sha256: $digest" | field size
ask GET "/api/jobs/$job/artifacts" | field files.0.path
send "$path" -H 'Range: bytes=11-'
echo
ask POST "/api/jobs/$job/logs" '{"lines": ["epoch 1"]}' > /dev/null
send "/api/jobs/$job/logs" | field text
ask POST "/api/runs/$job/end" '{"state": "SUCCEEDED", "summary": {"loss": 0.5}}' > /dev/null
ask GET "/api/jobs/$job" | field state
