# Shared by the scripts beside it: the Master's address and token, one request, one field of an answer.
master="${PROTEINX_MASTER:-http://127.0.0.1:8000}"
token=(${PROTEINX_TOKEN:+-H "Authorization: Bearer $PROTEINX_TOKEN"})

ask() { # ask METHOD PATH [BODY]; an error of the Master ends the script
  curl -sS --fail-with-body -X "$1" "$master$2" "${token[@]}" -H 'Content-Type: application/json' ${3:+-d "$3"}
}
send() { # send PATH [CURL OPTIONS ...]: a file, a form, a header of one's own
  local path=$1; shift
  curl -sS --fail-with-body "${token[@]}" "$@" "$master$path"
}
field() { # field NAME: of the JSON document on standard input; `a.0.b` goes down
  python3 -c 'import json, sys
found = json.load(sys.stdin)
for name in sys.argv[1].split("."):
    found = found[int(name) if name.isdigit() else name]
print(found)' "$1"
}
