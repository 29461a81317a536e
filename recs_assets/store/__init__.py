"""The files of a deployment: build files, snapshots, versions, the lock."""
