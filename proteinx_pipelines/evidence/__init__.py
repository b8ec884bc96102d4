"""Evidence about the sites of a template: its structure and the alignment of its homologues.

Reads users' files through biotite (Stockholm: pyhmmer), matches them to a template and describes each site. The
result, `records.Evidence`, goes to the embedding stage. Nothing here reads measurements.

Limits: one protein chain per template (other chains of the file count as neighbours); the first model of an ensemble.
"""
