// lowtide-normalise refuses by name what no layer can hold.
// RUN: not lowtide-opt %s --lowtide-normalise 2>&1 | FileCheck %s
// RUN: not lowtide-opt %s --lowtide-outline 2>&1 | FileCheck %s --check-prefix=OUTLINE

// CHECK:   normalise at 'scores' (linalg.softmax): no kernel takes 'linalg.softmax'
// CHECK:   remedy: cut the network before it (--until TENSOR for a .tflite)
// OUTLINE: outline at 'scores' (linalg.softmax): no kernel takes 'linalg.softmax'
func.func @main(%x: tensor<2x4xf32>) -> tensor<2x4xf32> {
  %e = tensor.empty() : tensor<2x4xf32>
  %y = linalg.softmax dimension(1) ins(%x : tensor<2x4xf32>) outs(%e : tensor<2x4xf32>) -> tensor<2x4xf32> loc("scores")
  return %y : tensor<2x4xf32>
}
