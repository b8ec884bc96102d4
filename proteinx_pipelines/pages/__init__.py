"""HTML pages and their pictures, in one style for reports, comparisons and the Master.

Contains presentation only; callers supply texts and arrays. Templates are Jinja2 with autoescape; script and style
are our own, inline, and need no network.
"""
