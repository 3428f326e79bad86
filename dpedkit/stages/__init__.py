"""The only place that joins rooms: read the corpus, call a room, write the corpus."""
