"""The generated street scenes. Imports `trainer.data.source` and, for the classes, `trainer.data.files.camvid`."""
