"""Objects in files of users: FILE.py:NAME."""
