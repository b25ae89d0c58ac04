"""Surveys in processes of their own, for tests that kill them: ``python survey_process.py MODEL STRUCTURES FOLDER``.

What takes long, importing, is done once; each line of input then forks a process that makes the survey, and tells its
number. At the next line its end, whichever way it comes to it, is waited for, and its exit code is told.
"""

import os
import sys

from atomlens.surveys import survey_structures

if __name__ == "__main__":
    model, structures, folder = sys.argv[1:4]
    while sys.stdin.readline():
        child = os.fork()
        if child == 0:
            survey_structures(model, structures, folder, shard_size=2, max_order=3)
            os._exit(0)
        print(child, flush=True)
        sys.stdin.readline()
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
