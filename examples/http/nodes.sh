#!/usr/bin/env bash
# Nodes with curl: who works, what each can do, no more jobs for one, the queue paused and resumed.
#
#     PROTEINX_MASTER=http://127.0.0.1:8000 bash examples/http/nodes.sh
set -euo pipefail
source "$(dirname "$0")/ask.sh"

node=$(ask GET /api/nodes | field items.0.name)
ask GET "/api/nodes/$node" | field alive
ask POST "/api/nodes/$node/drain" '{}' | field drained
ask POST "/api/nodes/$node/undrain" '{}' | field drained
ask POST /api/queue/pause '{}' | field paused
ask POST /api/queue/resume '{}' | field paused
