"""Parsed answers against what was asked for. Knows boxes and short answers, and no notation."""
