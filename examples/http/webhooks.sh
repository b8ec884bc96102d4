#!/usr/bin/env bash
# Webhooks with curl: subscribe, see what was sent, unsubscribe. The address has to be one that the Master may reach.
#
#     PROTEINX_MASTER=http://127.0.0.1:8000 bash examples/http/webhooks.sh https://lab.example/hooks
set -euo pipefail
source "$(dirname "$0")/ask.sh"
url="${1:?the address that events are posted to}"

webhook=$(ask POST /api/webhooks "{\"url\": \"$url\", \"events\": [\"job.created\"]}" | field webhook_id)
job=$(ask POST /api/jobs '{"flags": {"data.source": "GB1", "model.name": "ridge"}, "held": true}' | field job_id)
ask GET "/api/webhooks/$webhook/deliveries" | field items.0.event
ask POST "/api/jobs/$job/cancel" '{}' | field state
ask DELETE "/api/webhooks/$webhook" | field deleted > /dev/null
echo unsubscribed
