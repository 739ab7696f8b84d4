// What lowtide.fuse_spatial refuses: attributes, handles, chains that have no order by rows; nothing is changed then.
// RUN: not lowtide-opt %s --split-input-file --lowtide-import-tosa --transform-interpreter 2>&1 | FileCheck %s

module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x8x4x2xi8>) -> tensor<1x4x2x2xi8> {
    %1 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8>
    %2 = tosa.max_pool2d %1 {kernel = array<i64: 2, 2>, pad = array<i64: 0, 0, 0, 0>, stride = array<i64: 2, 2>} : (tensor<1x8x4x2xi8>) -> tensor<1x4x2x2xi8>
    return %2 : tensor<1x4x2x2xi8>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = "lowtide.layers"(%module) {numbers = [1, 2]} : (!transform.any_op) -> !transform.any_op
    // CHECK: error: 'lowtide.fuse_spatial': unknown halo 'guess'; choose one of cache
    %loop = "lowtide.fuse_spatial"(%chain) {recompute = [], columns = 0 : i64, direction = "forwards", halo = "guess", rows = 1 : i64} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x8x4x2xi8>) -> tensor<1x4x2x2xi8> {
    %1 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8>
    %2 = tosa.max_pool2d %1 {kernel = array<i64: 2, 2>, pad = array<i64: 0, 0, 0, 0>, stride = array<i64: 2, 2>} : (tensor<1x8x4x2xi8>) -> tensor<1x4x2x2xi8>
    return %2 : tensor<1x4x2x2xi8>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = "lowtide.layers"(%module) {numbers = [1, 2]} : (!transform.any_op) -> !transform.any_op
    // CHECK: error: 'lowtide.fuse_spatial': unknown direction 'up'; choose one of forwards, backwards
    %loop = "lowtide.fuse_spatial"(%chain) {recompute = [], columns = 0 : i64, direction = "up", halo = "cache", rows = 1 : i64} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x8x4x2xi8>) -> tensor<1x4x2x2xi8> {
    %1 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8>
    %2 = tosa.max_pool2d %1 {kernel = array<i64: 2, 2>, pad = array<i64: 0, 0, 0, 0>, stride = array<i64: 2, 2>} : (tensor<1x8x4x2xi8>) -> tensor<1x4x2x2xi8>
    return %2 : tensor<1x4x2x2xi8>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = "lowtide.layers"(%module) {numbers = [1, 2]} : (!transform.any_op) -> !transform.any_op
    // CHECK: error: 'lowtide.fuse_spatial': 0 rows an iteration; 1 or more are wanted
    %loop = "lowtide.fuse_spatial"(%chain) {recompute = [], columns = 0 : i64, direction = "forwards", halo = "cache", rows = 0 : i64} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x8x4x2xi8>) -> tensor<1x4x2x2xi8> {
    %1 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8>
    %2 = tosa.max_pool2d %1 {kernel = array<i64: 2, 2>, pad = array<i64: 0, 0, 0, 0>, stride = array<i64: 2, 2>} : (tensor<1x8x4x2xi8>) -> tensor<1x4x2x2xi8>
    return %2 : tensor<1x4x2x2xi8>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = "lowtide.layers"(%module) {numbers = [1, 2]} : (!transform.any_op) -> !transform.any_op
    // CHECK: error: 'lowtide.fuse_spatial': -1 columns at a time; 1 or more are wanted, or 0 for whole rows
    %loop = "lowtide.fuse_spatial"(%chain) {recompute = [], columns = -1 : i64, direction = "forwards", halo = "cache", rows = 1 : i64} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x8x4x2xi8>) -> tensor<1x4x2x2xi8> {
    %1 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8>
    %2 = tosa.max_pool2d %1 {kernel = array<i64: 2, 2>, pad = array<i64: 0, 0, 0, 0>, stride = array<i64: 2, 2>} : (tensor<1x8x4x2xi8>) -> tensor<1x4x2x2xi8>
    return %2 : tensor<1x4x2x2xi8>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = "lowtide.layers"(%module) {numbers = [1, 2]} : (!transform.any_op) -> !transform.any_op
    // CHECK: error: 'lowtide.fuse_spatial': a loop by columns goes row by row
    %loop = "lowtide.fuse_spatial"(%chain) {recompute = [], columns = 1 : i64, direction = "forwards", halo = "cache", rows = 2 : i64} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x8x4x2xi8>) -> tensor<1x4x2x2xi8> {
    %1 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8>
    %2 = tosa.max_pool2d %1 {kernel = array<i64: 2, 2>, pad = array<i64: 0, 0, 0, 0>, stride = array<i64: 2, 2>} : (tensor<1x8x4x2xi8>) -> tensor<1x4x2x2xi8>
    return %2 : tensor<1x4x2x2xi8>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %none = transform.structured.match ops{["scf.while"]} in %module : (!transform.any_op) -> !transform.any_op
    // CHECK: error: 'lowtide.fuse_spatial': the handle is empty: there is no layer to fuse
    %loop = "lowtide.fuse_spatial"(%none) {rows = 1} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x8x4x2xi8>) -> tensor<1x4x2x2xi8> {
    %1 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8>
    %2 = tosa.max_pool2d %1 {kernel = array<i64: 2, 2>, pad = array<i64: 0, 0, 0, 0>, stride = array<i64: 2, 2>} : (tensor<1x8x4x2xi8>) -> tensor<1x4x2x2xi8>
    return %2 : tensor<1x4x2x2xi8>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = "lowtide.layers"(%module) {numbers = [1, 2]} : (!transform.any_op) -> !transform.any_op
    %main = transform.structured.match ops{["func.func"]} in %module : (!transform.any_op) -> !transform.any_op
    // CHECK: error: 'lowtide.fuse_spatial': the handle has 'func.func', which is no layer and in none
    %loop = "lowtide.fuse_spatial"(%main) {rows = 1} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x8x4x2xi8>) -> tensor<1x4x2x2xi8> {
    %1 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8>
    %2 = tosa.max_pool2d %1 {kernel = array<i64: 2, 2>, pad = array<i64: 0, 0, 0, 0>, stride = array<i64: 2, 2>} : (tensor<1x8x4x2xi8>) -> tensor<1x4x2x2xi8>
    return %2 : tensor<1x4x2x2xi8>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = "lowtide.layers"(%module) {numbers = [1, 2]} : (!transform.any_op) -> !transform.any_op
    %loop = "lowtide.fuse_spatial"(%chain) {rows = 1} : (!transform.any_op) -> !transform.any_op
    %layers = transform.structured.match ops{["lowtide.layer"]} in %loop : (!transform.any_op) -> !transform.any_op
    // CHECK: error: 'lowtide.fuse_spatial': layer 'linalg.pooling_nhwc_max' is in a loop already
    %again = "lowtide.fuse_spatial"(%layers) {rows = 1} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x8x4x2xi8>) -> tensor<1x4x2x2xi8> {
    %1 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8>
    %2 = tosa.max_pool2d %1 {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8>
    %3 = tosa.max_pool2d %2 {kernel = array<i64: 2, 2>, pad = array<i64: 0, 0, 0, 0>, stride = array<i64: 2, 2>} : (tensor<1x8x4x2xi8>) -> tensor<1x4x2x2xi8>
    return %3 : tensor<1x4x2x2xi8>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = "lowtide.layers"(%module) {numbers = [1, 2]} : (!transform.any_op) -> !transform.any_op
    %loop = "lowtide.fuse_spatial"(%chain) {rows = 1} : (!transform.any_op) -> !transform.any_op
    %layers = transform.structured.match ops{["lowtide.layer"]} in %module : (!transform.any_op) -> !transform.any_op
    // CHECK: error: 'lowtide.fuse_spatial': layer 'linalg.pooling_nhwc_max' is in a loop already
    %again = "lowtide.fuse_spatial"(%layers) {rows = 1} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x8x4x2xi8>) -> (tensor<1x8x4x2xi8>, tensor<1x8x4x2xi8>) {
    %1 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8>
    %2 = tosa.max_pool2d %1 {kernel = array<i64: 3, 1>, pad = array<i64: 1, 1, 0, 0>, stride = array<i64: 1, 1>} : (tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8>
    %3 = tosa.max_pool2d %1 {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8>
    return %2, %3 : tensor<1x8x4x2xi8>, tensor<1x8x4x2xi8>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = "lowtide.layers"(%module) {numbers = [1, 3]} : (!transform.any_op) -> !transform.any_op
    // CHECK: error: 'lowtide.fuse_spatial': layer 'linalg.pooling_nhwc_max', which is not in the chain, comes before its end
    %loop = "lowtide.fuse_spatial"(%chain) {rows = 1} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x8x4x2xi8>) -> tensor<1x16x4x2xi8> {
    %1 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8>
    %2 = tosa.max_pool2d %x {kernel = array<i64: 3, 1>, pad = array<i64: 1, 1, 0, 0>, stride = array<i64: 1, 1>} : (tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8>
    %3 = tosa.concat %1, %2 {axis = 1 : i32} : (tensor<1x8x4x2xi8>, tensor<1x8x4x2xi8>) -> tensor<1x16x4x2xi8>
    return %3 : tensor<1x16x4x2xi8>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = "lowtide.layers"(%module) {numbers = [2]} : (!transform.any_op) -> !transform.any_op
    // CHECK: error: 'lowtide.fuse_spatial': layer 'tensor.insert_slice' writes a part of a tensor that others write too
    %loop = "lowtide.fuse_spatial"(%chain) {rows = 1} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8> {
    %1 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8>
    %2 = tosa.reverse %1 {axis = 1 : i32} : (tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8>
    %3 = tosa.max_pool2d %2 {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8>
    return %3 : tensor<1x8x4x2xi8>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = "lowtide.layers"(%module) {numbers = [1, 2, 3]} : (!transform.any_op) -> !transform.any_op
    // CHECK: error: 'lowtide.fuse_spatial': layer 'linalg.generic' (gather_0) can't be computed by rows
    %loop = "lowtide.fuse_spatial"(%chain) {rows = 1} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x8x4x2xi8>) -> (tensor<1x8x4x2xi8>, tensor<1x4x2x2xi8>) {
    %1 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8>
    %2 = tosa.max_pool2d %x {kernel = array<i64: 2, 2>, pad = array<i64: 0, 0, 0, 0>, stride = array<i64: 2, 2>} : (tensor<1x8x4x2xi8>) -> tensor<1x4x2x2xi8>
    return %1, %2 : tensor<1x8x4x2xi8>, tensor<1x4x2x2xi8>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = "lowtide.layers"(%module) {numbers = [1, 2]} : (!transform.any_op) -> !transform.any_op
    // CHECK: error: 'lowtide.fuse_spatial': nothing in the loop reads what layer 1 of the chain makes
    %loop = "lowtide.fuse_spatial"(%chain) {rows = 1} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x8x4x2xf32>) -> (tensor<1x8x4x2xf32>, tensor<1x4x4x2xf32>) {
    %1 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x8x4x2xf32>) -> tensor<1x8x4x2xf32>
    %from = tosa.const_shape {values = dense<[0, 0, 0, 0]> : tensor<4xindex>} : () -> !tosa.shape<4>
    %size = tosa.const_shape {values = dense<[1, 4, 4, 2]> : tensor<4xindex>} : () -> !tosa.shape<4>
    %3 = tosa.slice %1, %from, %size : (tensor<1x8x4x2xf32>, !tosa.shape<4>, !tosa.shape<4>) -> tensor<1x4x4x2xf32>
    %4 = tosa.add %3, %3 : (tensor<1x4x4x2xf32>, tensor<1x4x4x2xf32>) -> tensor<1x4x4x2xf32>
    return %1, %4 : tensor<1x8x4x2xf32>, tensor<1x4x4x2xf32>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = "lowtide.layers"(%module) {numbers = [1, 2]} : (!transform.any_op) -> !transform.any_op
    // CHECK: error: 'lowtide.fuse_spatial': the loop ends before layer 1 of the chain has made all its rows
    %loop = "lowtide.fuse_spatial"(%chain) {rows = 1} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x8x4x2xf32>) -> tensor<1x4x4x2xf32> {
    %1 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x8x4x2xf32>) -> tensor<1x8x4x2xf32>
    %2 = tosa.max_pool2d %1 {kernel = array<i64: 2, 1>, pad = array<i64: 0, 0, 0, 0>, stride = array<i64: 2, 1>} : (tensor<1x8x4x2xf32>) -> tensor<1x4x4x2xf32>
    %from = tosa.const_shape {values = dense<[0, 0, 0, 0]> : tensor<4xindex>} : () -> !tosa.shape<4>
    %size = tosa.const_shape {values = dense<[1, 4, 4, 2]> : tensor<4xindex>} : () -> !tosa.shape<4>
    %3 = tosa.slice %1, %from, %size : (tensor<1x8x4x2xf32>, !tosa.shape<4>, !tosa.shape<4>) -> tensor<1x4x4x2xf32>
    %4 = tosa.add %2, %3 : (tensor<1x4x4x2xf32>, tensor<1x4x4x2xf32>) -> tensor<1x4x4x2xf32>
    return %4 : tensor<1x4x4x2xf32>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = "lowtide.layers"(%module) {numbers = [1, 2, 3]} : (!transform.any_op) -> !transform.any_op
    // CHECK: error: 'lowtide.fuse_spatial': the readers of layer 1 of the chain go through it at different paces
    %loop = "lowtide.fuse_spatial"(%chain) {rows = 1} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x8x4x2xf32>) -> tensor<1x1x4x2xf32> {
    %1 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x8x4x2xf32>) -> tensor<1x8x4x2xf32>
    %2 = tosa.reduce_sum %1 {axis = 1 : i32} : (tensor<1x8x4x2xf32>) -> tensor<1x1x4x2xf32>
    return %2 : tensor<1x1x4x2xf32>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = "lowtide.layers"(%module) {numbers = [1, 2]} : (!transform.any_op) -> !transform.any_op
    // CHECK: error: 'lowtide.fuse_spatial': floats are accumulated forwards only: another order rounds otherwise
    %loop = "lowtide.fuse_spatial"(%chain) {recompute = [], columns = 0 : i64, direction = "backwards", halo = "cache", rows = 1 : i64} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x8x4x2xf32>) -> tensor<1x1x4x2xf32> {
    %1 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x8x4x2xf32>) -> tensor<1x8x4x2xf32>
    %2 = tosa.reduce_sum %1 {axis = 1 : i32} : (tensor<1x8x4x2xf32>) -> tensor<1x1x4x2xf32>
    %3 = tosa.max_pool2d %2 {kernel = array<i64: 1, 3>, pad = array<i64: 0, 0, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x1x4x2xf32>) -> tensor<1x1x4x2xf32>
    return %3 : tensor<1x1x4x2xf32>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = "lowtide.layers"(%module) {numbers = [1, 2, 3]} : (!transform.any_op) -> !transform.any_op
    // CHECK: error: 'lowtide.fuse_spatial': layer 'linalg.reduce' is complete only after its last row; it can only be last
    %loop = "lowtide.fuse_spatial"(%chain) {rows = 1} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x8x2xf32>) -> tensor<1x1x2xf32> {
    %w = "tosa.const"() <{values = dense<[[[0.5, 2.0], [1.0, 3.0]]]> : tensor<1x2x2xf32>}> : () -> tensor<1x2x2xf32>
    %z = "tosa.const"() <{values = dense<0.0> : tensor<1xf32>}> : () -> tensor<1xf32>
    %1 = tosa.matmul %x, %w, %z, %z : (tensor<1x8x2xf32>, tensor<1x2x2xf32>, tensor<1xf32>, tensor<1xf32>) -> tensor<1x8x2xf32>
    %2 = tosa.reduce_sum %1 {axis = 1 : i32} : (tensor<1x8x2xf32>) -> tensor<1x1x2xf32>
    return %2 : tensor<1x1x2xf32>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = "lowtide.layers"(%module) {numbers = [1, 2]} : (!transform.any_op) -> !transform.any_op
    // CHECK: error: 'lowtide.fuse_spatial': layer 1 of the chain can't be computed by columns
    %loop = "lowtide.fuse_spatial"(%chain) {recompute = [], columns = 1 : i64, direction = "forwards", halo = "cache", rows = 1 : i64} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x8x4x2xi8>) -> tensor<1x4x2x2xi8> {
    %1 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8>
    %2 = tosa.max_pool2d %1 {kernel = array<i64: 2, 2>, pad = array<i64: 0, 0, 0, 0>, stride = array<i64: 2, 2>} : (tensor<1x8x4x2xi8>) -> tensor<1x4x2x2xi8>
    return %2 : tensor<1x4x2x2xi8>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = "lowtide.layers"(%module) {numbers = [1, 2]} : (!transform.any_op) -> !transform.any_op
    // CHECK: error: 'lowtide.fuse_spatial': the layers to recompute are not a list of integers
    %loop = "lowtide.fuse_spatial"(%chain) {recompute = ["x"], columns = 0 : i64, direction = "forwards", halo = "cache", rows = 1 : i64} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x8x4x2xi8>) -> tensor<1x4x2x2xi8> {
    %1 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8>
    %2 = tosa.max_pool2d %1 {kernel = array<i64: 2, 2>, pad = array<i64: 0, 0, 0, 0>, stride = array<i64: 2, 2>} : (tensor<1x8x4x2xi8>) -> tensor<1x4x2x2xi8>
    return %2 : tensor<1x4x2x2xi8>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = "lowtide.layers"(%module) {numbers = [1, 2]} : (!transform.any_op) -> !transform.any_op
    // CHECK: error: 'lowtide.fuse_spatial': layer 2 of the chain can't be recomputed: it has 2 layers, and the last makes the rows
    %loop = "lowtide.fuse_spatial"(%chain) {recompute = [2], columns = 0 : i64, direction = "forwards", halo = "cache", rows = 1 : i64} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x8x4x2xf32>) -> tensor<1x4x4x2xf32> {
    %1 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x8x4x2xf32>) -> tensor<1x8x4x2xf32>
    %2 = tosa.max_pool2d %1 {kernel = array<i64: 2, 1>, pad = array<i64: 0, 0, 0, 0>, stride = array<i64: 2, 1>} : (tensor<1x8x4x2xf32>) -> tensor<1x4x4x2xf32>
    %from = tosa.const_shape {values = dense<[0, 0, 0, 0]> : tensor<4xindex>} : () -> !tosa.shape<4>
    %size = tosa.const_shape {values = dense<[1, 4, 4, 2]> : tensor<4xindex>} : () -> !tosa.shape<4>
    %3 = tosa.slice %1, %from, %size : (tensor<1x8x4x2xf32>, !tosa.shape<4>, !tosa.shape<4>) -> tensor<1x4x4x2xf32>
    %4 = tosa.add %2, %3 : (tensor<1x4x4x2xf32>, tensor<1x4x4x2xf32>) -> tensor<1x4x4x2xf32>
    return %4 : tensor<1x4x4x2xf32>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = "lowtide.layers"(%module) {numbers = [1, 2, 3]} : (!transform.any_op) -> !transform.any_op
    // CHECK: error: 'lowtide.fuse_spatial': layer 1 of the chain can't be recomputed: not one layer alone reads it
    %loop = "lowtide.fuse_spatial"(%chain) {recompute = [1], columns = 0 : i64, direction = "forwards", halo = "cache", rows = 1 : i64} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}
