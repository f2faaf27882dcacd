"""The segmentation models: backbone, head, projection, and the module that joins them."""
