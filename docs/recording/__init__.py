"""What docs/record.py records, a file for each section."""
