"""What a job leaves for the next run to check, and what is done before a run goes on after a fault."""
