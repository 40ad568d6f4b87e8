"""`report.html`: claims in words, tables, figures and a viewer of attention maps in one file that opens offline."""
