"""From a folder of arbitrary files to the folder of a shop; see `docs/init.md`."""
