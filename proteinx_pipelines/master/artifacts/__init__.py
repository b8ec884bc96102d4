"""Files of jobs: those of the experiment directory here, and those that were uploaded.

    digests.py   SHA-256 of files, computed once for each version of a file
    index.py     which files a job has, and where they are
    uploads.py   files on their way in, resumable and checked

An uploaded file is stored below its SHA-256 (`master.settings.MasterSettings.stored`); a row says which job and path
it is of. So no path of a caller ever becomes one on this machine.
"""
