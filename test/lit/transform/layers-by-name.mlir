// lowtide.layers by the model's names, by kinds, or all; what is not there is refused with what there is.
// RUN: not lowtide-opt %s --split-input-file --transform-interpreter > %t 2> %t.err
// RUN: FileCheck %s --input-file %t
// RUN: FileCheck %s --check-prefix=ERR --input-file %t.err

// CHECK:      }) {any, kind = "pool", label = "stem/pool", pool}
// CHECK:      }) {any, kind = "map", label = "head/exp", of_kind}
// CHECK:      }) {add, any, kind = "map", label = "head/add", of_kind}
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x8x4x2xf32>) -> (tensor<1x8x4x2xf32>, tensor<1x8x4x2xf32>) {
    %zero = arith.constant -1.0 : f32
    %k = tensor.empty() : tensor<1x1xf32>
    %e = tensor.empty() : tensor<1x8x4x2xf32>
    %f = linalg.fill ins(%zero : f32) outs(%e : tensor<1x8x4x2xf32>) -> tensor<1x8x4x2xf32>
    %0 = linalg.pooling_nhwc_max ins(%x, %k : tensor<1x8x4x2xf32>, tensor<1x1xf32>) outs(%f : tensor<1x8x4x2xf32>) -> tensor<1x8x4x2xf32> loc("stem/pool")
    %1 = linalg.exp ins(%0 : tensor<1x8x4x2xf32>) outs(%e : tensor<1x8x4x2xf32>) -> tensor<1x8x4x2xf32> loc("head/exp")
    %2 = linalg.add ins(%1, %0 : tensor<1x8x4x2xf32>, tensor<1x8x4x2xf32>) outs(%e : tensor<1x8x4x2xf32>) -> tensor<1x8x4x2xf32> loc("head/add")
    return %1, %2 : tensor<1x8x4x2xf32>, tensor<1x8x4x2xf32>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %named = "lowtide.layers"(%module) {names = ["head/add", "stem/pool"]} : (!transform.any_op) -> !transform.any_op
    %add, %pool = transform.split_handle %named : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    transform.annotate %add "add" : !transform.any_op
    transform.annotate %pool "pool" : !transform.any_op
    %maps = "lowtide.layers"(%module) {kinds = ["map"]} : (!transform.any_op) -> !transform.any_op
    transform.annotate %maps "of_kind" : !transform.any_op
    %all = "lowtide.layers"(%module) : (!transform.any_op) -> !transform.any_op
    transform.annotate %all "any" : !transform.any_op
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
    %e = tensor.empty() : tensor<4xf32>
    %y = linalg.exp ins(%x : tensor<4xf32>) outs(%e : tensor<4xf32>) -> tensor<4xf32> loc("head/exp")
    return %y : tensor<4xf32>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    // ERR: error: 'lowtide.layers': there is no layer 'tail': the network has 'head/exp'
    %named = "lowtide.layers"(%module) {names = ["head/exp", "tail"]} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
    %e = tensor.empty() : tensor<4xf32>
    %y = linalg.exp ins(%x : tensor<4xf32>) outs(%e : tensor<4xf32>) -> tensor<4xf32> loc("head/exp")
    return %y : tensor<4xf32>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    // ERR: error: 'lowtide.layers': there is no layer 'conv': the network has map
    %named = "lowtide.layers"(%module) {kinds = ["conv"]} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
    %e = tensor.empty() : tensor<4xf32>
    %y = linalg.exp ins(%x : tensor<4xf32>) outs(%e : tensor<4xf32>) -> tensor<4xf32> loc("head/exp")
    return %y : tensor<4xf32>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    // ERR: error: 'lowtide.layers': the names are not a list of texts
    %named = "lowtide.layers"(%module) {names = [1]} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}
