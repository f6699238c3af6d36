"""The commit protocol of a folder that one driver at a time writes to: a numbered log says what counts.

`docs/what-counts.md` explains it. Each entry of the log is created under the next number, which only one driver can do;
all else that a driver writes goes to folders of its own, which count once an entry names them.
"""
