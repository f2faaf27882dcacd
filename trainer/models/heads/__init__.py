"""The segmentation heads, one per file; `trainer.build.HEADS` has their names. Imports torch only."""
