"""Rows of MXNet operators, a module per family; tests/test_mxnet_ops.py runs them against MXNet."""
