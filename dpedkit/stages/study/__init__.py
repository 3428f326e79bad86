"""Preference studies: what is shown to whom, what they answered, and what that says of all who might be asked."""
