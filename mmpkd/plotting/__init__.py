"""One module a figure of the study."""
