// Rows are indices of the outermost dimension that has several: in NCHW channels. Pools go by them, each channel by itself;
// a convolution needs all channels of its input and is declined.
// RUN: not lowtide-opt %s --split-input-file --transform-interpreter > %t 2> %t.err
// RUN: FileCheck %s --input-file %t
// RUN: FileCheck %s --check-prefix=ERR --input-file %t.err
// RUN: lowtide-opt %t --lowtide-outline --lowtide-allocate --lowtide-kernels | FileCheck %s --check-prefix=CODE

// CHECK:      }) {axis = "rows", columns = 0 : i64, direction = "forwards", recompute = [], rows = 1 : i64}

// CODE:       func.func private @pool_1(%[[IN:.*]]: memref<1x1x6x4xf32>, %[[OUT:.*]]: memref<1x2x4x2xf32>, %[[FIRST:.*]]: index, %[[END:.*]]: index)
// CODE:       scf.for %[[C:.*]] = %[[FIRST]] to %[[END]] step %c1 {
// CODE:       memref.load %[[IN]][%c0, %c0, %{{.*}}, %{{.*}}]
// CODE:       memref.store %{{.*}}, %[[OUT]][%c0, %[[C]], %{{.*}}, %{{.*}}]
// CODE:       func.func private @pool_0(%[[X:.*]]: memref<1x2x8x6xf32>, %{{.*}}: memref<1x1x6x4xf32>, %[[FROM:.*]]: index, %{{.*}}: index)
// CODE:       scf.for %[[D:.*]] = %[[FROM]] to
// CODE:       memref.load %[[X]][%c0, %[[D]], %{{.*}}, %{{.*}}]
// CODE:       func.func @main
// CODE:       scf.for %{{.*}} = %c0 to %c2 step %c1 {
// CODE:       func.call @pool_0(
// CODE-NEXT:  func.call @pool_1(
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x2x8x6xf32>) -> tensor<1x2x4x2xf32> {
    %zero = arith.constant -1.0 : f32
    %k = tensor.empty() : tensor<3x3xf32>
    %e0 = tensor.empty() : tensor<1x2x6x4xf32>
    %f0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<1x2x6x4xf32>) -> tensor<1x2x6x4xf32>
    %0 = linalg.pooling_nchw_max ins(%x, %k : tensor<1x2x8x6xf32>, tensor<3x3xf32>) outs(%f0 : tensor<1x2x6x4xf32>) -> tensor<1x2x6x4xf32>
    %e1 = tensor.empty() : tensor<1x2x4x2xf32>
    %f1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<1x2x4x2xf32>) -> tensor<1x2x4x2xf32>
    %1 = linalg.pooling_nchw_max ins(%0, %k : tensor<1x2x6x4xf32>, tensor<3x3xf32>) outs(%f1 : tensor<1x2x4x2xf32>) -> tensor<1x2x4x2xf32>
    return %1 : tensor<1x2x4x2xf32>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %pools = transform.structured.match ops{["linalg.pooling_nchw_max"]} in %module : (!transform.any_op) -> !transform.any_op
    %loop = "lowtide.fuse_spatial"(%pools) {rows = 1} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x2x8x6xf32>, %w: tensor<3x2x3x3xf32>, %v: tensor<4x3x3x3xf32>) -> tensor<1x4x4x2xf32> {
    %zero = arith.constant 0.0 : f32
    %e0 = tensor.empty() : tensor<1x3x6x4xf32>
    %f0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<1x3x6x4xf32>) -> tensor<1x3x6x4xf32>
    %0 = linalg.conv_2d_nchw_fchw ins(%x, %w : tensor<1x2x8x6xf32>, tensor<3x2x3x3xf32>) outs(%f0 : tensor<1x3x6x4xf32>) -> tensor<1x3x6x4xf32>
    %e1 = tensor.empty() : tensor<1x4x4x2xf32>
    %f1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<1x4x4x2xf32>) -> tensor<1x4x4x2xf32>
    %1 = linalg.conv_2d_nchw_fchw ins(%0, %v : tensor<1x3x6x4xf32>, tensor<4x3x3x3xf32>) outs(%f1 : tensor<1x4x4x2xf32>) -> tensor<1x4x4x2xf32>
    return %1 : tensor<1x4x4x2xf32>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %convs = transform.structured.match ops{["linalg.conv_2d_nchw_fchw"]} in %module : (!transform.any_op) -> !transform.any_op
    // ERR: error: 'lowtide.fuse_spatial': layer 'linalg.conv_2d_nchw_fchw' (conv_1) can't be computed by rows
    %loop = "lowtide.fuse_spatial"(%convs) {rows = 1} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}
