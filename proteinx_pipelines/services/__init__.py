"""Use cases: what a person can do with experiments, the same for every face (command line, HTTP, notebook).

A service takes what it needs through the ports of `ports`, returns a typed result and raises an error of `errors`. It
knows no command line, no web, no terminal, and nothing of how a node executes; `node.lifecycle.service_ports` gives it
this node's own records and lists.
"""
