"""Webhooks: subscribers that hear of events, through an outbox that a crash does not empty.

subscribing.py   subscribers as rows, and the outbox rows written in the transaction of an event
delivery.py      sends what is due, again later when it fails
guard.py         addresses that may be connected to
sending.py       one delivery: HTTP to the checked address, or a command
"""
