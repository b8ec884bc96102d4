"""Pages that open in a browser, and the pictures on them: one manner for the report, comparisons and the Master.

Knows how things look and nothing of what they mean: whoever makes a page brings texts and arrays. Templates are
Jinja2 with autoescape; script and style are our own, inline, and need no network.
"""
