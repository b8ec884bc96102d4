"""Real measurements and ready-made experiments that come with the package: `proteinx demo` runs them.

`data/` holds two published deep mutational scans in ProteinGym's form, with licence and citation; `flags/` holds
two experiments on one of them that differ in nothing but their split. How the demo runs is the command line's
business.
"""
