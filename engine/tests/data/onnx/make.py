"""Makes the model beside it: `pip install onnx==1.23.2 && python make.py`.

A logistic sum of three features by hand: 0.5 entropy - 2 printable + urls - 3.
"""

import onnx
from onnx import TensorProto, helper

nodes = [
    helper.make_node("MatMul", ["features", "weights"], ["sum"]),
    helper.make_node("Add", ["sum", "intercept"], ["log_odds"]),
    helper.make_node("Sigmoid", ["log_odds"], ["probability"]),
]
graph = helper.make_graph(
    nodes,
    "logistic",
    [helper.make_tensor_value_info("features", TensorProto.FLOAT, [1, 3])],
    [helper.make_tensor_value_info("probability", TensorProto.FLOAT, [1, 1])],
    [
        helper.make_tensor("weights", TensorProto.FLOAT, [3, 1], [0.5, -2.0, 1.0]),
        helper.make_tensor("intercept", TensorProto.FLOAT, [1], [-3.0]),
    ],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
helper.set_model_props(model, {"features": "entropy,printable,urls"})
onnx.save(model, "logistic.onnx")
