"""The Master's pages: HTML for people, rendered on the server, live by server-sent events.

    site.py        the router of all pages, files below `/static`, and errors as pages
    frame.py       what every page has: language, navigation, who asks
    words.py       texts in English and Chinese (`words/*.json`), times and durations in words
    links.py       addresses of pages with a changed part of their state
    jobs.py ...    one module a page: reads through the same functions as the API, and renders

Styles, tables and figures are those of the report (`proteinx_pipelines.pages`); what pages add is in `assets/`. Every
change is made by a script through the public API: a page only reads.
"""
