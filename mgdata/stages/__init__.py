"""What happens to one shard of each kind: ingest, measure, build, release."""
