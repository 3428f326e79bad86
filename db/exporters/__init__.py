"""Layouts in which others read a corpus, one file each."""
