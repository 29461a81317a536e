"""The command line: `main` reads the arguments, one module holds each group of commands."""
