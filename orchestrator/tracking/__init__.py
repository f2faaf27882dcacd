"""Who watches a sweep: MLflow for the browser, the console for the terminal."""
