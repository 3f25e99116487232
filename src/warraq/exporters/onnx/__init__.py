"""A merged model -> ONNX graphs, one module a model family that has a way there."""
