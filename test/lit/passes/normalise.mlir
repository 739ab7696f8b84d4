// lowtide-normalise inlines helpers, makes constant amounts static and drops what front ends note on the function.
// RUN: lowtide-opt %s --lowtide-normalise --split-input-file | FileCheck %s

// CHECK:       func.func @main(%[[X:.*]]: tensor<2x2xf32>) -> tensor<2x3xf32> {
// CHECK:       tensor.pad %[[X]] low[0, 1] high[0, 0]
// CHECK:       linalg.exp
// CHECK-NOT:   @helper
func.func private @helper(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %e = tensor.empty() : tensor<2x3xf32>
  %y = linalg.exp ins(%x : tensor<2x3xf32>) outs(%e : tensor<2x3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}
func.func public @main(%x: tensor<2x2xf32> {llvm.noalias}) -> tensor<2x3xf32> attributes {llvm.emit_c_interface} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %z = arith.constant 0.0 : f32
  %p = tensor.pad %x low[%c0, %c1] high[%c0, %c0] {
  ^bb0(%i: index, %j: index):
    tensor.yield %z : f32
  } : tensor<2x2xf32> to tensor<2x3xf32>
  %y = call @helper(%p) : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}
