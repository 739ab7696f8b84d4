// An attribute that means nothing to an operation is refused by name, with those that it has: it may be a slip of the pen.
// RUN: not lowtide-opt %s --split-input-file --transform-interpreter 2>&1 | FileCheck %s

module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
    %e = tensor.empty() : tensor<4xf32>
    %y = linalg.exp ins(%x : tensor<4xf32>) outs(%e : tensor<4xf32>) -> tensor<4xf32>
    return %y : tensor<4xf32>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    // CHECK: error: 'lowtide.allocate': unknown attribute 'strategies'; it has budget, overlap, strategy
    "lowtide.allocate"(%module) {strategies = "auto"} : (!transform.any_op) -> ()
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
    %e = tensor.empty() : tensor<4xf32>
    %y = linalg.exp ins(%x : tensor<4xf32>) outs(%e : tensor<4xf32>) -> tensor<4xf32>
    return %y : tensor<4xf32>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    // CHECK: error: 'lowtide.concat': unknown attribute 'copies'; it has copied
    "lowtide.concat"(%module) {copied = [], copies = [1]} : (!transform.any_op) -> ()
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
    %e = tensor.empty() : tensor<4xf32>
    %y = linalg.exp ins(%x : tensor<4xf32>) outs(%e : tensor<4xf32>) -> tensor<4xf32>
    return %y : tensor<4xf32>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    // CHECK: error: 'lowtide.schedule': unknown attribute 'by'; it has order
    "lowtide.schedule"(%module) {by = "hand", order = [1]} : (!transform.any_op) -> ()
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
    %e = tensor.empty() : tensor<4xf32>
    %y = linalg.exp ins(%x : tensor<4xf32>) outs(%e : tensor<4xf32>) -> tensor<4xf32>
    return %y : tensor<4xf32>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    // CHECK: error: 'lowtide.layers': unknown attribute 'number'; it has kinds, names, numbers
    %layer = "lowtide.layers"(%module) {number = [1]} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
    %e = tensor.empty() : tensor<4xf32>
    %y = linalg.exp ins(%x : tensor<4xf32>) outs(%e : tensor<4xf32>) -> tensor<4xf32>
    return %y : tensor<4xf32>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %layers = "lowtide.layers"(%module) : (!transform.any_op) -> !transform.any_op
    // CHECK: error: 'lowtide.kernel': unknown attribute 'for'; it has kernel
    "lowtide.kernel"(%layers) {for = "speed", kernel = "general"} : (!transform.any_op) -> ()
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
    %e = tensor.empty() : tensor<4xf32>
    %y = linalg.exp ins(%x : tensor<4xf32>) outs(%e : tensor<4xf32>) -> tensor<4xf32>
    return %y : tensor<4xf32>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %layers = "lowtide.layers"(%module) : (!transform.any_op) -> !transform.any_op
    // CHECK: error: 'lowtide.fuse_spatial': unknown attribute 'row'; it has columns, direction, halo, recompute, rows
    %loop = "lowtide.fuse_spatial"(%layers) {row = 2, rows = 1} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
    %e = tensor.empty() : tensor<4xf32>
    %y = linalg.exp ins(%x : tensor<4xf32>) outs(%e : tensor<4xf32>) -> tensor<4xf32>
    return %y : tensor<4xf32>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %layers = "lowtide.layers"(%module) : (!transform.any_op) -> !transform.any_op
    // CHECK: error: 'lowtide.fuse_channels': unknown attribute 'slices'; it has slice
    %loop = "lowtide.fuse_channels"(%layers) {slice = 2, slices = 1} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}
