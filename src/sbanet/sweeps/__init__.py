"""Many runs from one command: each job of a sweep is a process tree of its own."""
