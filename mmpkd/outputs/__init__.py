"""The tables and figures of the study: one module each, called as its rule, and what they share."""
