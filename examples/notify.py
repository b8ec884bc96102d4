"""A command for webhooks that writes to people: the event on standard input becomes a mail or a chat message.

PROTEINX_WEBHOOK_COMMANDS="mail=python examples/notify.py --mail lab@example.org; \
chat=python examples/notify.py --chat https://chat.example/hooks/..." proteinx up

Exit status 0: it has been taken; any other, and the Master tries again later. Needs the standard library alone.
"""

import argparse
import json
import subprocess
import sys
import urllib.request
from email.message import EmailMessage


def main() -> int:
    options = read_options()
    event = json.load(sys.stdin)
    text = sentence(event)
    if options.mail:
        message = EmailMessage()
        message["To"], message["From"], message["Subject"] = options.mail, options.sender, text
        message.set_content(json.dumps(event, indent=1, ensure_ascii=False))
        return subprocess.run([options.sendmail, "-t"], input=message.as_bytes(), check=False).returncode
    body = json.dumps({"text": text}).encode()  # as Slack, Mattermost, Rocket.Chat and others take it
    request = urllib.request.Request(options.chat, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return 0 if answer.status < 300 else 1


def sentence(event: dict) -> str:
    """The event in one line: names come from users, so control characters are left out."""
    data = event["data"]
    what = data.get("experiment_id") or data.get("job_id") or data.get("node") or ""
    words = [event["type"], what, data.get("state") or "", data.get("reason") or ""]
    return " ".join("".join(letter for letter in word if letter.isprintable()) for word in words if word)


def read_options() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description="Tell people of an event of a Master.")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--mail", metavar="ADDRESS")
    where.add_argument("--chat", metavar="URL", help="incoming webhook of a chat")
    parser.add_argument("--from", dest="sender", default="proteinx@localhost")
    parser.add_argument(
        "--sendmail", default="/usr/sbin/sendmail", help="program that takes a mail on its input"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
