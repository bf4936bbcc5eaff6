"""Transactions: list-append and rw-register, with Elle's anomalies and consistency models."""
