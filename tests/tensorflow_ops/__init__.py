"""Rows of TensorFlow operators, a module per family; tests/test_tensorflow_ops.py runs them against TensorFlow."""
