#!/usr/bin/env bash
# Upgrades nodes one after another, without losing or delaying a job that runs.
#   PROTEINX_MASTER=http://HOST:8000 PROTEINX_TOKEN=... deploy/rolling_upgrade.sh COMMAND NODE...
# For each node: no more jobs for it; wait until it has none; `COMMAND NODE`, which upgrades and restarts it, such as a
# script with `ssh "$1" 'pip install ... && systemctl restart proteinx-node'`; wait for its sign of life; jobs again.
# A COMMAND that fails stops the upgrade: that node stays drained, the others go on with what they have.
set -euo pipefail

if (($# < 2)); then
  sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
command=$1
shift
: "${PROTEINX_MASTER:?the address of the Master}"
longest=${PROTEINX_UPGRADE_WAIT_S:-86400} # seconds to wait for a node's last job, and for its return

ask() { # METHOD PATH
  curl --fail --silent --show-error --max-time 30 --request "$1" \
    ${PROTEINX_TOKEN:+--header "Authorization: Bearer $PROTEINX_TOKEN"} "$PROTEINX_MASTER$2"
}

open_jobs() { # NODE: how many jobs it has
  ask GET "/api/jobs?node=$1&state=ASSIGNED,RUNNING&size=1" | sed -E 's/.*"total": *([0-9]+).*/\1/'
}

last_seen() { # NODE
  ask GET "/api/nodes/$1" | sed -E 's/.*"last_seen": *"([^"]+)".*/\1/'
}

await() { # SECONDS WHAT CHECK...
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    if ((SECONDS >= end)); then
      echo "$what has not happened in time; nothing more was changed." >&2
      return 1
    fi
    sleep "${PROTEINX_UPGRADE_PAUSE_S:-5}"
  done
}

is_idle() { [[ "$(open_jobs "$1")" == 0 ]]; }
is_back() { [[ "$(last_seen "$1")" > "$2" ]]; }

for node in "$@"; do
  echo "$node: no more jobs"
  ask POST "/api/nodes/$node/drain" >/dev/null
  await "$longest" "The end of the last job of $node" is_idle "$node"
  echo "$node: $command"
  "$command" "$node"
  moment=$(date --utc +%Y-%m-%dT%H:%M:%S)
  await "$longest" "A sign of life of $node" is_back "$node" "$moment"
  ask POST "/api/nodes/$node/undrain" >/dev/null
  echo "$node: takes jobs again"
done
