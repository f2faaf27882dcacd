"""From pixels to batches of tensors: augmentation and order. Imports torch and `trainer.data.source`."""
