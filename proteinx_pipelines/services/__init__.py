"""Use cases: the actions a person can take on experiments, shared by all interfaces (command line, HTTP, notebook).

A service receives what it needs through the protocols in `ports`, returns a typed result and raises errors from
`errors`. It depends on no command line, web or terminal code and not on how a node executes;
`node.lifecycle.service_ports` provides this node's records and lists.
"""
