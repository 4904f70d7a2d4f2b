"""Models that answer: one module each, named as a recipe writes it."""
