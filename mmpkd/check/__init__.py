"""`mmpkd check`: what a study finds, what it lacks and whether it can run, before anything is computed."""
