#!/usr/bin/env bash
# Groups with curl: a sweep over seeds and models, submitted as one, counted as one, compared in one table.
#
#     PROTEINX_MASTER=http://127.0.0.1:8000 bash examples/http/groups.sh GB1_Nisthal_2019
set -euo pipefail
source "$(dirname "$0")/ask.sh"
source="${1:-GB1_Nisthal_2019}"

group=$(ask POST /api/groups '{"name": "curl-sweep", "description": "seeds and models"}' | field group_id)
unit=$(ask POST "/api/groups/$group/units" \
  "{\"template\": \"baseline\", \"flags\": {\"data.source\": \"$source\"}, \"grid\": {\"split.seed\": [1, 2], \"model.name\": [\"ridge\", \"gp\"]}}" \
  | field unit_id)
ask POST "/api/units/$unit/submit" '{}' | field counts.total
ask GET "/api/groups/$group/results" | field columns
# The same verb on all of them: a filter instead of ids.
ask POST /api/jobs/actions "{\"action\": \"cancel\", \"filter\": {\"unit\": \"$unit\"}}" | python3 -c 'import json, sys; print(len(json.load(sys.stdin)["done"]), "cancelled")'
ask GET "/api/units/$unit" | field state
