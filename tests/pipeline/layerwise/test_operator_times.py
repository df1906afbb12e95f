from edgeship.bundle.measurement import OperatorTime
from edgeship.pipeline.layerwise.operator_times import _with_layers


def test_what_makes_an_output_belongs_to_the_layer_before_it():
    operators = (
        OperatorTime("net/conv_1/Relu;net/conv_1/convolution", "CONV_2D", "Convolution", 0.1),
        OperatorTime("", "", "Static Reshape", 0.1),
        OperatorTime("net/unknown/Sum", "SUM", "Sum", 0.1, reads="net/conv_1/Relu;net/conv_1/convolution"),
        OperatorTime("net/scores_1/MatMul", "FULLY_CONNECTED", "Fully Connected", 0.1, reads="net/unknown/Sum"),
        OperatorTime("StatefulPartitionedCall:0", "SOFTMAX", "Softmax", 0.1, reads="net/scores_1/MatMul"),
    )
    layers = [item.layers for item in _with_layers(operators, ["conv", "scores"])]
    assert layers == [("conv",), (), (), ("scores",), ("scores",)]
