"""From a YAML file to trials on Ray, records on disk and runs in MLflow."""
