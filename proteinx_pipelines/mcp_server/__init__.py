"""The verbs of a Master for agents, over the Model Context Protocol: `proteinx mcp`.

Built on `client`; a tool asks the Master and hands its answer on. Needs the package `mcp` (extra `mcp`).

    reading.py     tools that change nothing
    changing.py    tools of a token that may submit, and of one that rules
    server.py      the server: the tools that its token allows, their errors, standard input and output
"""
