"""Plug-ins for mgdata in a package of their own."""
