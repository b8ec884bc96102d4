"""Cleaning of the Master's own files: what nothing refers to, and above a budget what was not promised.

    finding.py    what may go, and why; changes nothing
    removing.py   removes it, looking again at each

Promised, whatever the budget: every job's row with its result, and its report, predictions and `experiment.json`; all
files of the newest job of an experiment that has succeeded; models with an alias; data sets; what an open job needs.
The experiments on this machine are the node's (`proteinx store gc`, `proteinx experiment archive`).
"""
