"""The stores: one file, or one folder, each."""
