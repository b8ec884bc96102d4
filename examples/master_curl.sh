#!/usr/bin/env bash
# A Master with curl alone: submit, look, move to the front, cancel. Set PROTEINX_MASTER (and PROTEINX_TOKEN).
#
#     PROTEINX_MASTER=http://127.0.0.1:8000 bash examples/master_curl.sh GB1_Nisthal_2019
set -euo pipefail
master="${PROTEINX_MASTER:-http://127.0.0.1:8000}"
source="${1:-GB1_Nisthal_2019}"

ask() { # ask METHOD PATH [BODY]; an error of the Master ends the script
  curl -sS --fail-with-body -X "$1" "$master$2" -H 'Content-Type: application/json' \
    ${PROTEINX_TOKEN:+-H "Authorization: Bearer $PROTEINX_TOKEN"} ${3:+-d "$3"}
}
field() { python3 -c "import json, sys; print(json.load(sys.stdin)['$1'])"; }

# The same Idempotency-Key would create one job however often this line ran.
job=$(ask POST /api/jobs "{\"template\": \"baseline\", \"flags\": {\"data.source\": \"$source\"}}" | field job_id)
echo "created $job"
ask GET "/api/jobs/$job" | field state
ask PATCH "/api/jobs/$job" '{"priority": 10}' | field priority
ask POST "/api/jobs/$job/cancel" '{}' | field state
ask GET "/api/jobs/$job/events" | python3 -c "import json, sys; [print(json.loads(line)['event']) for line in sys.stdin]"
