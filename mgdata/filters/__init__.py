"""Filters: what should not be published, each with its reason."""
