"""One module a table of the study."""
