"""The names that a Keras configuration may use without permission: Keras's own classes, functions and TensorFlow symbols.

Written down rather than looked up, so that nothing of Keras has to be imported to judge a file, and so that what a later
Keras adds is refused until somebody has looked at it. None of them reads a file, runs code of the file or calls what the
file names. A test compares the list with the Keras versions in use.
"""

from __future__ import annotations

import re

_LAYERS = """
AbstractRNNCell Activation ActivityRegularization AdaptiveAveragePooling1D AdaptiveAveragePooling2D
AdaptiveAveragePooling3D AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D Add AdditiveAttention
AlphaDropout Attention AugMix AutoContrast Average AveragePooling1D AveragePooling2D AveragePooling3D AvgPool1D
AvgPool2D AvgPool3D BatchNormalization BatchNormalizationV1 BatchNormalizationV2 Bidirectional CategoryEncoding
CenterCrop Concatenate ContrastLimitedAdaptiveHistogramEqualization Conv1D Conv1DTranspose Conv2D Conv2DTranspose
Conv3D Conv3DTranspose ConvLSTM1D ConvLSTM2D ConvLSTM3D Convolution1D Convolution1DTranspose Convolution2D
Convolution2DTranspose Convolution3D Convolution3DTranspose Cropping1D Cropping2D Cropping3D CuDNNGRU CuDNNLSTM CutMix
Dense DepthwiseConv1D DepthwiseConv2D DeviceWrapper Discretization Dot Dropout ELU EinsumDense Embedding Equalization
Flatten GRU GRUCell GaussianDropout GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D
GlobalAvgPool1D GlobalAvgPool2D GlobalAvgPool3D GlobalMaxPool1D GlobalMaxPool2D GlobalMaxPool3D GlobalMaxPooling1D
GlobalMaxPooling2D GlobalMaxPooling3D GroupNormalization GroupQueryAttention GroupedQueryAttention HashedCrossing
Hashing Identity InputLayer InputSpec IntegerLookup LSTM LSTMCell LayerNormalization LeakyReLU LocallyConnected1D
LocallyConnected2D Masking MaxNumBoundingBoxes MaxPool1D MaxPool2D MaxPool3D MaxPooling1D MaxPooling2D MaxPooling3D
Maximum MelSpectrogram Minimum MixUp MultiHeadAttention Multiply Normalization PReLU Permute Pipeline RMSNormalization
RNN RandAugment RandomBrightness RandomColorDegeneration RandomColorJitter RandomContrast RandomCrop
RandomElasticTransform RandomErasing RandomFlip RandomFourierFeatures RandomGaussianBlur RandomGrayscale RandomHeight
RandomHue RandomInvert RandomPerspective RandomPosterization RandomRotation RandomSaturation RandomSharpness
RandomShear RandomTranslation RandomWidth RandomZoom ReLU RepeatVector Rescaling Reshape Resizing ReversibleEmbedding
STFTSpectrogram SeparableConv1D SeparableConv2D SeparableConvolution1D SeparableConvolution2D SimpleRNN SimpleRNNCell
Softmax Solarization SpatialDropout1D SpatialDropout2D SpatialDropout3D SpectralNormalization StackedRNNCells
StringLookup Subtract SyncBatchNormalization TextVectorization ThresholdedReLU TimeDistributed UnitNormalization
UpSampling1D UpSampling2D UpSampling3D Wrapper ZeroPadding1D ZeroPadding2D ZeroPadding3D GRUV1 GRUV2 GRUCellV1
GRUCellV2 LSTMV1 LSTMV2 LSTMCellV1 LSTMCellV2 Functional Model Sequential AddLoss AddMetric TFOpLambda SlicingOpLambda
TensorFlowOpLayer ClassMethod InstanceMethod InstanceProperty
"""
_PARTS = """
AWQConfig AWQDTypePolicy AbsMaxQuantizer Constant Constraint DTypePolicy DTypePolicyMap Float8QuantizationConfig
FloatDTypePolicy GPTQConfig GPTQDTypePolicy GlorotNormal GlorotUniform HeNormal HeUniform IdentityInitializer Initializer
Int4DTypePolicy Int4QuantizationConfig Int8QuantizationConfig L1 L1L2 L2 LecunNormal LecunUniform MaxNorm MinMaxNorm
NonNeg Ones Orthogonal OrthogonalInitializer OrthogonalRegularizer Policy PolicyV1 QuantizationConfig
QuantizedDTypePolicy QuantizedFloat8DTypePolicy Quantizer RadialConstraint RandomNormal RandomUniform Regularizer STFT
STFTInitializer SeedGenerator TruncatedNormal UnitNorm VarianceScaling Zeros
constant glorot_normal glorot_uniform he_normal he_uniform identity l1 l1_l2 l2 lecun_normal lecun_uniform max_norm
min_max_norm non_neg ones orthogonal orthogonal_regularizer radial_constraint random_normal random_uniform stft
truncated_normal unit_norm variance_scaling zeros
"""
# Models within a model bring the configuration of their training, which loading reads.
_TRAINING = """
AUC Accuracy Adadelta Adafactor Adagrad Adam AdamW Adamax BinaryAccuracy BinaryCrossentropy BinaryFocalCrossentropy
BinaryIoU CTC CategoricalAccuracy CategoricalCrossentropy CategoricalFocalCrossentropy CategoricalGeneralizedCrossEntropy
CategoricalHinge Circle ConcordanceCorrelation CosineDecay CosineDecayRestarts CosineSimilarity Dice ExponentialDecay
F1Score FBetaScore FalseNegatives FalsePositives Ftrl Hinge Huber InverseTimeDecay IoU KLDivergence Lamb
LearningRateSchedule Lion LogCosh LogCoshError Loss LossScaleOptimizer Mean MeanAbsoluteError MeanAbsolutePercentageError
MeanIoU MeanMetricWrapper MeanRelativeError MeanSquaredError MeanSquaredLogarithmicError MeanTensor Metric MultiOptimizer
Muon Nadam OneHotIoU OneHotMeanIoU Optimizer OptimizerMap PearsonCorrelation PiecewiseConstantDecay Poisson
PolynomialDecay Precision PrecisionAtRecall R2Score RMSprop Recall RecallAtPrecision RootMeanSquaredError SGD ScheduleFreeAdamW
SensitivityAtSpecificity SparseCategoricalAccuracy SparseCategoricalCrossentropy SparseTopKCategoricalAccuracy
SpecificityAtSensitivity SquaredHinge Sum TopKCategoricalAccuracy TrueNegatives TruePositives Tversky
"""
# Layers that keras.applications (ConvNeXt, InceptionResNetV2) and FeatureSpace have to themselves, and an operation that
# lies beside the quantizers.
_BESIDE = "LayerScale StochasticDepth CustomScaleLayer TFDConcat TFDIdentity FakeQuantWithMinMaxVars"
PARTS = frozenset(_PARTS.split())
CLASSES = frozenset(f"{_LAYERS} {_BESIDE} {_TRAINING}".split()) | PARTS
_FUNCTIONS = """
celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear log_sigmoid
log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus sparse_sigmoid
sparsemax squareplus swish tanh tanh_shrink threshold KLD MAE MAPE MSE MSLE binary_accuracy binary_crossentropy
binary_focal_crossentropy categorical_accuracy categorical_crossentropy categorical_focal_crossentropy
categorical_generalized_cross_entropy categorical_hinge circle concordance_correlation cosine_similarity ctc dice
hinge huber kl_divergence kld kullback_leibler_divergence log_cosh logcosh mae mape mean_absolute_error
mean_absolute_percentage_error mean_squared_error mean_squared_logarithmic_error mse msle pearson_correlation poisson
sparse_categorical_accuracy sparse_categorical_crossentropy sparse_top_k_categorical_accuracy squared_hinge
top_k_categorical_accuracy tversky
"""
# What a class of Keras that is not above would do, for the message.
CODE = {
    "Lambda": "carries Python code",
    "__lambda__": "carries Python code",
    "DropoutWrapper": "may carry Python code",
    "ResidualWrapper": "may carry Python code",
    "TorchModuleWrapper": "carries a pickled PyTorch module",
    "JaxLayer": "carries a function",
    "FlaxLayer": "carries a function",
    "TFSMLayer": "loads another model by its path",
}
# How the two formats write values that JSON has not; none of them names anything.
_VALUES = """
__tuple__ __bytes__ __ellipsis__ __slice__ __tensor__ __numpy__ __keras_tensor__ TensorShape CompositeTensor
"""
_SPECS = """
TensorSpec RaggedTensorSpec SparseTensorSpec IndexedSlicesSpec TensorArraySpec VariableSpec
"""

# Where Keras's own things live, in every version since 2.0: keras.layers, keras.src.engine.functional, tf_keras.layers...
MODULE = re.compile(
    r"(?:tf_)?keras(?:\.src)?(?:\.(?:layers|models|engine|initializers|regularizers|constraints|activations|losses|metrics|"
    r"optimizers|quantizers|random|applications|dtype_policies|mixed_precision)(?:\.(?!test)\w+(?<!_test))*)?"
)
# Keras 3's operations as nodes of a functional model; Keras takes from there only what is an operation.
OPERATIONS = re.compile(r"keras\.src\.ops(?:\.(?!test)\w+(?<!_test))*|keras\.ops")
# tf_keras takes some of its initializers from TensorFlow.
INITIALIZERS = re.compile(r"tensorflow\.python\.ops\.init_ops(?:_v2)?")
OPERATION = re.compile(r"[A-Z]\w*")
SPEC_MODULE = re.compile(r"tensorflow\.python\.(?:framework|ops)(?:\.\w+)*")

# TensorFlow's functions as nodes of a tf_keras model (TFOpLambda): only those that compute. Not `io`, `py_function`,
# `numpy_function`, `print` (writes to a file that its argument names), `raw_ops`, `data`, `saved_model`, `debugging`...
SYMBOL = re.compile(
    r"(?:compat\.v1\.)?(?:(?:math|nn|linalg|image|signal|bitwise|random|strings|sparse|ragged|sets|dtypes|quantization|audio)"
    r"(?:\.(?:experimental|special|nn))?\.(?!fixed_unigram)[a-z]\w*|__operators__\.[a-z]\w*|keras\.(?:activations|losses|metrics)\.(?P<keras>\w+)|"
    r"(?P<name>\w+))"
)
_SYMBOLS = """
abs acos acosh add add_n approx_top_k argmax argmin argsort asin asinh assert_equal assert_greater assert_less
assert_rank atan atan2 atanh batch_to_space batch_to_space_nd bincount bitcast boolean_mask broadcast_dynamic_shape
broadcast_static_shape broadcast_to case cast ceil clip_by_global_norm clip_by_norm clip_by_value complex concat
constant conj convert_to_tensor cos cosh count_nonzero cross cumprod cumsum depth_to_space diag diag_part div
div_no_nan divide dynamic_partition dynamic_stitch edit_distance einsum ensure_shape equal erf erfc exp expand_dims
expm1 extract_image_patches eye fft fft2d fft3d fill fingerprint floor floor_div floordiv floormod foldl foldr gather
gather_nd greater greater_equal guarantee_const hessians histogram_fixed_width identity identity_n ifft ifft2d ifft3d
imag invert_permutation is_finite is_inf is_nan is_tensor less less_equal lin_space linspace log log1p log_sigmoid
logical_and logical_not logical_or logical_xor map_fn matmul matrix_band_part matrix_determinant matrix_diag
matrix_diag_part matrix_inverse matrix_set_diag matrix_solve matrix_square_root matrix_transpose maximum meshgrid
minimum mod multinomial multiply negative no_gradient no_op norm not_equal one_hot ones ones_like pad parallel_stack
polygamma pow qr random_crop random_gamma random_normal random_poisson random_shuffle random_uniform range rank real
realdiv reciprocal reduce_all reduce_any reduce_logsumexp reduce_max reduce_mean reduce_min reduce_prod reduce_sum
repeat required_space_to_batch_paddings reshape reverse reverse_sequence reverse_v2 rint roll round rsqrt
saturate_cast scalar_mul scan scatter_nd searchsorted segment_max segment_mean segment_min segment_prod segment_sum
self_adjoint_eig sequence_mask setdiff1d shape shape_n sigmoid sign sin sinh size slice sort space_to_batch
space_to_batch_nd space_to_depth split sqrt square squared_difference squeeze stack stop_gradient strided_slice
string_split string_strip string_to_hash_bucket string_to_hash_bucket_fast string_to_hash_bucket_strong
string_to_number substr subtract svd switch_case tan tanh tensor_scatter_nd_add tensor_scatter_nd_max
tensor_scatter_nd_min tensor_scatter_nd_sub tensor_scatter_nd_update tensordot tile to_bfloat16 to_double to_float
to_int32 to_int64 top_k trace transpose tridiagonal_solve truediv truncatediv truncatemod tuple unique
unique_with_counts unravel_index unsorted_segment_max unsorted_segment_mean unsorted_segment_min unsorted_segment_prod
unsorted_segment_sqrt_n unsorted_segment_sum unstack vectorized_map verify_tensor_all_finite where where_v2 zeros
zeros_like zeta
"""
# What models ask of ragged and sparse tensors (ClassMethod, InstanceMethod, InstanceProperty).
TENSOR_CLASSES = frozenset({"RaggedTensor", "SparseTensor", "sparse.SparseTensor"})
_TENSOR_METHODS = """
from_value_rowids from_row_splits from_row_lengths from_row_starts from_row_limits from_uniform_row_length
from_nested_value_rowids from_nested_row_splits from_nested_row_lengths from_tensor from_sparse values flat_values
row_splits nested_row_splits value_rowids nested_value_rowids nrows row_starts row_limits row_lengths
nested_row_lengths bounding_shape with_values with_flat_values with_row_splits_dtype merge_dims to_tensor to_sparse
indices dense_shape
"""
FUNCTIONS, VALUES, SPECS, SYMBOLS, TENSOR_METHODS = (
    frozenset(names.split()) for names in (_FUNCTIONS, _VALUES, _SPECS, _SYMBOLS, _TENSOR_METHODS)
)
