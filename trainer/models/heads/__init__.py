"""The segmentation heads, one per file; `trainer.build.HEADS` names them."""
