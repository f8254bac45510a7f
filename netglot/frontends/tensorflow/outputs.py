"""Outputs of operations by name, as the bodies of functions write them: "node:values:0" is the first of TopKV2.

Nodes number their outputs from 0; an output that is a list takes as many numbers as an attribute says. The names are
those of TensorFlow's op definitions. What a file itself says of its operations goes before what is written here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netglot.errors import ConversionError, Origin
from netglot.frontends.tensorflow.messages import ArgDef, NodeDef

# The outputs of all operations that have several: name, name*attribute with the number, name#attribute with the types.
_OPERATIONS: Mapping[str, str] = {
    "values indices": "ApproxTopK TopK TopKV2",
    "e v": "BatchSelfAdjointEigV2 Eig SelfAdjointEigV2",
    "s u v": "BatchSvd Svd",
    "i cs f o ci co h": "BlockLSTM BlockLSTMV2 LSTMBlockCell",
    "row_ptrs col_inds values": "CSRSparseMatrixComponents",
    "indices values dense_shape": "CSRSparseMatrixToSparseTensor",
    "decoded_indices*top_paths decoded_values*top_paths decoded_shape*top_paths log_probability": (
        "CTCBeamSearchDecoder"
    ),
    "decoded_indices decoded_values decoded_shape log_probability": "CTCGreedyDecoder",
    "loss gradient": "CTCLoss CTCLossV2",
    "nmsed_boxes nmsed_scores nmsed_classes valid_detections": "CombinedNonMaxSuppression",
    "output output_h output_c reserve_space": "CudnnRNN",
    "output output_h output_c reserve_space host_reserved": "CudnnRNNV2 CudnnRNNV3",
    "audio sample_rate": "DecodeWav",
    "output_indices output_values output_dense_shape": (
        "DenseCountSparseOutput RaggedCountSparseOutput SparseCountSparseOutput"
    ),
    "result_indices result_values result_shape": (
        "DenseToDenseSetOperation DenseToSparseSetOperation SparseToSparseSetOperation"
    ),
    "sparse_indices sparse_values sparse_shape": "DeserializeManySparse DeserializeSparse",
    "output row_pooling_sequence col_pooling_sequence": "FractionalAvgPool FractionalMaxPool",
    "y batch_mean batch_variance reserve_space_1 reserve_space_2": "FusedBatchNorm FusedBatchNormV2",
    "y batch_mean batch_variance reserve_space_1 reserve_space_2 reserve_space_3": "FusedBatchNormV3",
    "r u c h": "GRUBlockCell",
    "rois roi_probabilities": "GenerateBoundingBoxProposals",
    "output segments": "IsotonicRegression",
    "out idx": "ListDiff",
    "sign log_abs_determinant": "LogMatrixDeterminant",
    "keys values": "LookupTableExport LookupTableExportV2",
    "lu p": "Lu",
    "output argmax": "MaxPoolWithArgmax",
    "output value_index": "Merge RefMerge",
    "nearest_center_indices nearest_center_distances": "NearestNeighbors",
    "selected_indices valid_outputs": "NonMaxSuppressionV4",
    "selected_indices selected_scores valid_outputs": "NonMaxSuppressionV5",
    "sparse_indices*Nsparse sparse_values#sparse_types sparse_shapes*Nsparse dense_values#Tdense": "ParseExample",
    (
        "sparse_indices*num_sparse sparse_values#sparse_types sparse_shapes*num_sparse dense_values#Tdense "
        "ragged_values#ragged_value_types ragged_row_splits#ragged_split_types"
    ): "ParseExampleV2",
    "sparse_indices*num_sparse sparse_values#sparse_types sparse_shapes*num_sparse dense_values#Tdense": (
        "ParseSingleExample"
    ),
    "q r": "Qr",
    "output output_min output_max": (
        "QuantizeDownAndShrinkRange QuantizeV2 QuantizedConcat QuantizedConcatV2 QuantizedReshape Requantize "
        "RequantizePerChannel"
    ),
    "z min_z max_z": "QuantizedAdd QuantizedMul",
    "output min_output max_output": (
        "QuantizedAvgPool QuantizedConv2D QuantizedConv2DAndRelu QuantizedConv2DAndReluAndRequantize "
        "QuantizedConv2DAndRequantize QuantizedConv2DPerChannel QuantizedConv2DWithBias "
        "QuantizedConv2DWithBiasAndRelu QuantizedConv2DWithBiasAndReluAndRequantize "
        "QuantizedConv2DWithBiasAndRequantize QuantizedConv2DWithBiasSignedSumAndReluAndRequantize "
        "QuantizedConv2DWithBiasSumAndRelu QuantizedConv2DWithBiasSumAndReluAndRequantize QuantizedDepthwiseConv2D "
        "QuantizedDepthwiseConv2DWithBias QuantizedDepthwiseConv2DWithBiasAndRelu "
        "QuantizedDepthwiseConv2DWithBiasAndReluAndRequantize QuantizedMaxPool"
    ),
    "result result_min result_max": "QuantizedBatchNormWithGlobalNormalization",
    "output min_out max_out": "QuantizedBiasAdd",
    "y y_min y_max": "QuantizedInstanceNorm",
    "out min_out max_out": (
        "QuantizedMatMul QuantizedMatMulWithBias QuantizedMatMulWithBiasAndRelu "
        "QuantizedMatMulWithBiasAndReluAndRequantize QuantizedMatMulWithBiasAndRequantize"
    ),
    "activations min_activations max_activations": "QuantizedRelu QuantizedRelu6 QuantizedReluX",
    "resized_images out_min out_max": "QuantizedResizeBilinear",
    "output_values output_row_splits": "RaggedCross",
    "output_value_rowids output_values empty_row_indicator reverse_index_map": "RaggedFillEmptyRows",
    "output_nested_splits*OUTPUT_RAGGED_RANK output_dense_values": "RaggedGather",
    "rt_nested_splits rt_dense_values": "RaggedRange",
    "output_nested_splits*output_ragged_rank output_dense_values": "RaggedTensorFromVariant",
    "sparse_indices sparse_values sparse_dense_shape": "RaggedTensorToSparse",
    "output_false output_true": "RefSwitch Switch",
    "output_min output_max": "RequantizationRange RequantizationRangePerChannel",
    "begin size bboxes": "SampleDistortedBoundingBox SampleDistortedBoundingBoxV2 StatelessSampleDistortedBoundingBox",
    "loss backprop": "SoftmaxCrossEntropyWithLogits SparseSoftmaxCrossEntropyWithLogits",
    "sum_indices sum_values sum_shape": "SparseAdd",
    "output_indices output_values output_shape": (
        "SparseConcat SparseCross SparseCrossHashed SparseCrossV2 SparseReduceMaxSparse SparseReduceSumSparse "
        "SparseSlice"
    ),
    "output_indices output_values empty_row_indicator reverse_index_map": "SparseFillEmptyRows",
    "output_indices output_values": "SparseReorder SparseSparseMaximum SparseSparseMinimum",
    "output_indices output_shape": "SparseReshape",
    "output_indices*num_split output_values*num_split output_shape*num_split": "SparseSplit",
    "key counter": "StatelessRandomGetKeyCounter",
    "key counter alg": "StatelessRandomGetKeyCounterAlg",
    "ngrams ngrams_splits": "StringNGrams",
    "indices values shape": "StringSplit StringSplitV2",
    "value lengths": "TensorArrayConcat TensorArrayConcatV2 TensorArrayConcatV3",
    "handle flow": "TensorArrayV3",
    "tensor lengths": "TensorListConcat TensorListConcatV2",
    "output_handle tensor": "TensorListPopBack",
    "topk topk_indices": "TopKUnique TopKWithUnique",
    "row_splits char_values": "UnicodeDecode",
    "row_splits char_values char_to_byte_starts": "UnicodeDecodeWithOffsets",
    "y idx": "Unique UniqueV2",
    "y idx count": "UniqueWithCounts UniqueWithCountsV2",
}  # fmt: skip


def _argument(text: str) -> ArgDef:
    name, _, types = text.partition("#")
    name, _, number = name.partition("*")
    return ArgDef(name, number_attr=number, type_list_attr=types)


OUTPUTS: Mapping[str, tuple[ArgDef, ...]] = {
    op: tuple(map(_argument, outputs.split())) for outputs, ops in _OPERATIONS.items() for op in ops.split()
}


def flat_index(node: NodeDef, argument: str, index: int, outputs: Sequence[ArgDef] | None = None) -> int:
    """The number of the output `argument:index` of a node.

    `outputs` are what the file says of the operation, or the outputs of the function that the node calls. An operation
    of which nothing is known has one output. ConversionError if it has no such output.
    """
    known = outputs or OUTPUTS.get(node.op)
    if known is None:
        return index
    start = 0
    for output in known:
        if output.name == argument:
            return start + index
        start += _length(node, output)
    names = ", ".join(output.name for output in known)
    raise ConversionError(f"{node.op} has no output '{argument:.80}', only {names}", Origin("", node.name, node.line))


def _length(node: NodeDef, output: ArgDef) -> int:
    """How many tensors an output is."""
    attribute = output.number_attr or output.type_list_attr
    if not attribute:
        return 1
    value = node.attributes.get(attribute)
    length = len(value) if isinstance(value, tuple) else value
    if not isinstance(length, int) or length < 0:
        raise ConversionError(f"{node.op} doesn't say its '{attribute}'", Origin("", node.name, node.line))
    return length
