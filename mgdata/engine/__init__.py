"""Running any stage's shards, in this process or on Ray. Knows no grounding."""
