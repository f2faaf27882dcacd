"""Data sets of files on disk, one module each. Imports `trainer.data.reading` and `trainer.data.source`."""
