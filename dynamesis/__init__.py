"""Dynamesis breaks eventually consistent stores, and proves whether they kept their promises."""
