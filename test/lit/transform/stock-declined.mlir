// Steps of lowtide's decline loops of MLIR's own tiling, with a word.
// RUN: not lowtide-opt %s --split-input-file --transform-interpreter 2>&1 | FileCheck %s

// CHECK: 'lowtide.fuse_spatial': {{.*}}layer 'scf.for' (loop_0) can't be computed by rows
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<8x6xf32>) -> tensor<8x6xf32> {
    %e = tensor.empty() : tensor<8x6xf32>
    %0 = linalg.exp ins(%x : tensor<8x6xf32>) outs(%e : tensor<8x6xf32>) -> tensor<8x6xf32>
    %1 = linalg.tanh ins(%0 : tensor<8x6xf32>) outs(%e : tensor<8x6xf32>) -> tensor<8x6xf32>
    return %1 : tensor<8x6xf32>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %curve = transform.structured.match ops{["linalg.exp"]} in %module : (!transform.any_op) -> !transform.any_op
    %tile, %rows = transform.structured.tile_using_for %curve tile_sizes [2] : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    %layers = "lowtide.layers"(%module) : (!transform.any_op) -> !transform.any_op
    %fused = "lowtide.fuse_spatial"(%layers) {rows = 1} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}

// -----

// CHECK: 'lowtide.kernel': layer 'scf.for': kernel 'general' does not accept this layer, a loop of MLIR's own tiling; pick none: MLIR makes its code
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<8x6xf32>) -> tensor<8x6xf32> {
    %e = tensor.empty() : tensor<8x6xf32>
    %0 = linalg.exp ins(%x : tensor<8x6xf32>) outs(%e : tensor<8x6xf32>) -> tensor<8x6xf32>
    return %0 : tensor<8x6xf32>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %curve = transform.structured.match ops{["linalg.exp"]} in %module : (!transform.any_op) -> !transform.any_op
    %tile, %rows = transform.structured.tile_using_for %curve tile_sizes [2] : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    "lowtide.kernel"(%tile) {kernel = "general"} : (!transform.any_op) -> ()
    transform.yield
  }
}

// -----

// What nobody reads goes when the network is cut, and no handle means it any more.
// CHECK: 'lowtide.kernel': the handle is empty: there is no layer to pick a kernel for
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<8x6xf32>) -> tensor<8x6xf32> {
    %e = tensor.empty() : tensor<8x6xf32>
    %0 = linalg.exp ins(%x : tensor<8x6xf32>) outs(%e : tensor<8x6xf32>) -> tensor<8x6xf32>
    %1 = linalg.tanh ins(%x : tensor<8x6xf32>) outs(%e : tensor<8x6xf32>) -> tensor<8x6xf32>
    return %1 : tensor<8x6xf32>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %unread = transform.structured.match ops{["linalg.exp"]} in %module : (!transform.any_op) -> !transform.any_op
    %layers = "lowtide.layers"(%module) : (!transform.any_op) -> !transform.any_op
    "lowtide.kernel"(%unread) {kernel = "general"} : (!transform.any_op) -> ()
    transform.yield
  }
}
