"""What users type, and how commands end: values, errors, exit codes, output."""
