"""The segmentation network: backbone, head and projection. Imports torch, timm and `trainer.errors`."""
