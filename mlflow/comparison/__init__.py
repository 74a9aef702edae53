"""What `mlflow/compare.py` is made of: runs read from a store, set side by side, and one page about them."""
