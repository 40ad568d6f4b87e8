"""Teachers and the student."""
