"""Every row of the TensorFlow table against TensorFlow itself: the frozen graph as TensorFlow writes it, read and run.

On ONNX Runtime, and on the targets that the row names."""

from __future__ import annotations

from pathlib import Path

import pytest

from netglot.convert import load
from netglot.registry import registry
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests.close import assert_equal
from tests.targets import TARGETS
from tests.tensorflow_ops.table import Row, all_rows, build


@pytest.mark.parametrize("row", all_rows(), ids=lambda row: row.id)
def test_row(row: Row, tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    feed = row.feed()
    names, expected = build(row, feed, tmp_path / "row.pb")
    graph = load(tmp_path / "row.pb", outputs=names)
    graph.check()
    used = {value.name: feed[value.name] for value in graph.inputs}
    found = OnnxRuntime(graph).run(used)
    for name, wanted in zip(names, expected, strict=True):
        assert_equal(found[name], wanted, row.rtol)
    for target in row.targets:
        found = TARGETS[target](load(tmp_path / "row.pb", outputs=names), used, tmp_path)
        for name, wanted in zip(names, expected, strict=True):
            assert_equal(found[name], wanted, row.rtol)


# What is no computation, or is tested by whole models in other files.
ELSEWHERE: set[str] = {
    # test_tensorflow_structure.py
    "Assert", "CheckNumerics", "CheckNumericsV2", "Const", "Copy", "CopyHost", "EmptyTensorList", "EnsureShape",
    "HostConst", "Identity", "IdentityN", "NoOp", "PartitionedCall", "Placeholder", "PlaceholderV2",
    "PlaceholderWithDefault", "PreventGradient", "Print", "PrintV2", "ReadVariableOp", "RefIdentity", "RemoteCall",
    "ResourceGather", "ResourceGatherNd", "Snapshot", "StatefulPartitionedCall", "StopGradient", "TensorArrayCloseV3",
    "TensorArrayConcatV3", "TensorArrayGatherV3", "TensorArrayReadV3", "TensorArrayScatterV3", "TensorArraySizeV3",
    "TensorArraySplitV3", "TensorArrayV3", "TensorArrayWriteV3", "TensorListConcat", "TensorListConcatV2",
    "TensorListElementShape", "TensorListFromTensor", "TensorListGather", "TensorListGetItem", "TensorListLength",
    "TensorListPopBack", "TensorListPushBack", "TensorListReserve", "TensorListResize",
    "TensorListScatterIntoExistingList", "TensorListScatterV2", "TensorListSetItem", "TensorListSplit",
    "TensorListStack", "Variable", "VariableShape", "_EagerConst",
    # test_tensorflow_control.py, and as If, Case and While by other names test_tensorflow_structure.py
    "Case", "If", "StatelessCase", "StatelessIf", "StatelessWhile", "While",
    # test_tensorflow_models.py: what holds and restores the variables of whole models
    "Assign", "AssignVariableOp", "RestoreV2", "VarHandleOp", "VariableV2",
    # test_tensorflow_families.py
    "Angle", "BatchMatrixDiag", "BatchMatrixDiagPart", "BatchMatrixSetDiag", "BatchNormWithGlobalNormalization",
    "Complex", "ComplexAbs", "Conj", "Conv2DBackpropInputV2", "Dequantize", "FFT", "FFT2D", "FFT3D", "IFFT", "IFFT2D",
    "IFFT3D", "IRFFT", "IRFFT2D", "Imag", "Multinomial", "RFFT", "RFFT2D", "RandomShuffle", "RandomStandardNormal",
    "RandomUniform", "RandomUniformInt", "Real", "TopK", "_FusedConv2D", "_FusedDepthwiseConv2dNative", "_FusedMatMul",
    # test_tensorflow_sources.py
    "FIFOQueue", "FIFOQueueV2", "IsVariableInitialized", "Iterator", "IteratorGetNext", "IteratorGetNextSync",
    "IteratorV2", "OneShotIterator", "PaddingFIFOQueue", "PaddingFIFOQueueV2", "QueueDequeue", "QueueDequeueMany",
    "QueueDequeueManyV2", "QueueDequeueUpTo", "QueueDequeueUpToV2", "QueueDequeueV2", "RandomShuffleQueue",
    "RandomShuffleQueueV2", "SegmentMaxV2", "SegmentMinV2", "SegmentProdV2", "SegmentSumV2", "VarIsInitializedOp",
    # test_tensorflow_tables.py
    "HashTable", "HashTableV2", "InitializeTable", "InitializeTableFromTextFile", "InitializeTableFromTextFileV2",
    "InitializeTableV2", "LookupTableFind", "LookupTableFindV2", "LookupTableImport", "LookupTableImportV2",
    "LookupTableSize", "LookupTableSizeV2", "MutableDenseHashTable", "MutableDenseHashTableV2", "MutableHashTable",
    "MutableHashTableOfTensors", "MutableHashTableOfTensorsV2", "MutableHashTableV2",
}  # fmt: skip


def test_every_operator_has_a_row() -> None:
    import netglot.frontends.tensorflow  # noqa: F401  (registers)

    tested = {row.op for row in all_rows()} | ELSEWHERE
    assert sorted(set(registry.ops("tensorflow")) - tested) == []
