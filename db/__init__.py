"""The corpus: schema, reading, writing, shards, splits."""
