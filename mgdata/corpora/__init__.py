"""One module per on-disk format: each reads its files into records and knows no other format."""
