#!/usr/bin/env bash
# Models with curl: the best one, a name for it, predictions, the model itself.
#
#     PROTEINX_MASTER=http://127.0.0.1:8000 bash examples/http/models.sh V39L V39L:D40G
set -euo pipefail
source "$(dirname "$0")/ask.sh"

model=$(ask GET '/api/models?sort=-metric.test/spearman' | field items.0.model_id)
ask GET "/api/models/$model" | field experiment_id
ask PUT "/api/models/$model/aliases/example" | field aliases.0
mutants=$(printf '"%s", ' "$@"); mutants="[${mutants%, }]"
# As a table, where the caller asks for one.
send /api/models/example/predict -H 'Content-Type: application/json' -H 'Accept: text/csv' -d "{\"mutants\": $mutants}"
send "/api/models/example/download" -o /dev/null -w '%{content_type}\n'
ask DELETE "/api/models/$model/aliases/example"
