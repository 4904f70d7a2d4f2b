"""Tasks: one a module, found by entry point. mgdata never imports them."""
