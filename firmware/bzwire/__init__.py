"""Bytes shared by token and host: key schedules, advertisements, records, pages, SMP frames, messages, errors.

MicroPython and CPython run these very files. Pure: no hardware, no clock, no randomness, no file is touched here;
AES blocks come in as a function, because the two interpreters keep AES in different libraries.
"""
