#!/usr/bin/env bash
# Data sets with curl: upload a file, see what was understood, ask for a job on it, download it, delete it.
#
#     PROTEINX_MASTER=http://127.0.0.1:8000 bash examples/http/datasets.sh
set -euo pipefail
source "$(dirname "$0")/ask.sh"
file=$(mktemp)
trap 'rm -f "$file"' EXIT
printf 'mutant,score\nV2A,1.5\nV3L,0.5\nV4D,0.1\nV5K,0.9\n' > "$file"

# The name of the query is that of the data set; the template says what the mutants refer to.
send "/api/datasets?name=curl&template=MVVVVK" --data-binary "@$file" > "$file.json"
echo "understood $(field rows < "$file.json") rows, version $(field version < "$file.json")"
id=$(field dataset_id < "$file.json"); rm "$file.json"
ask GET "/api/datasets?q=curl" | field items.0.name
job=$(ask POST /api/jobs '{"dataset": "curl", "template": "baseline", "flags": {"data.source": "curl"}, "held": true}' | field job_id)
ask GET "/api/jobs/$job" | field source
ask POST "/api/jobs/$job/cancel" '{}' | field state
send "/api/datasets/$id/content" | head -1
ask DELETE "/api/datasets/$id"
echo "deleted $id"
