"""Runs before main.py: nothing to do yet, the port has mounted the file system."""
