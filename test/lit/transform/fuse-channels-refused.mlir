// What lowtide.fuse_channels refuses: attributes, handles, chains that have no order by channels.
// RUN: not lowtide-opt %s --split-input-file --lowtide-import-tosa --transform-interpreter 2>&1 | FileCheck %s

module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x4x4x6xi8>) -> tensor<1x4x4x6xi8> {
    %1 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x4x4x6xi8>) -> tensor<1x4x4x6xi8>
    %2 = tosa.max_pool2d %1 {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x4x4x6xi8>) -> tensor<1x4x4x6xi8>
    return %2 : tensor<1x4x4x6xi8>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = "lowtide.layers"(%module) {numbers = [1, 2]} : (!transform.any_op) -> !transform.any_op
    // CHECK: error: 'lowtide.fuse_channels': 0 channels a slice; 1 or more are wanted
    %loop = "lowtide.fuse_channels"(%chain) {slice = 0 : i64} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x4x4x6xi8>) -> tensor<1x4x4x6xi8> {
    %1 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x4x4x6xi8>) -> tensor<1x4x4x6xi8>
    %2 = tosa.max_pool2d %1 {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x4x4x6xi8>) -> tensor<1x4x4x6xi8>
    return %2 : tensor<1x4x4x6xi8>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = "lowtide.layers"(%module) {numbers = [1, 2]} : (!transform.any_op) -> !transform.any_op
    // CHECK: error: expected base attribute 'builtin.integer' but got 'builtin.string'
    %loop = "lowtide.fuse_channels"(%chain) {slice = "two"} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x4x4x6xi8>) -> tensor<1x4x4x6xi8> {
    %1 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x4x4x6xi8>) -> tensor<1x4x4x6xi8>
    %2 = tosa.max_pool2d %1 {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x4x4x6xi8>) -> tensor<1x4x4x6xi8>
    return %2 : tensor<1x4x4x6xi8>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = transform.structured.match ops{["scf.for"]} in %module : (!transform.any_op) -> !transform.any_op
    // CHECK: error: 'lowtide.fuse_channels': the handle is empty: there is no layer to fuse
    %loop = "lowtide.fuse_channels"(%chain) {slice = 2 : i64} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x4x4x6xi8>) -> tensor<1x4x4x6xi8> {
    %1 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x4x4x6xi8>) -> tensor<1x4x4x6xi8>
    %2 = tosa.max_pool2d %1 {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x4x4x6xi8>) -> tensor<1x4x4x6xi8>
    return %2 : tensor<1x4x4x6xi8>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = "lowtide.layers"(%module) {numbers = [1, 2]} : (!transform.any_op) -> !transform.any_op
    %main = transform.structured.match ops{["func.func"]} in %module : (!transform.any_op) -> !transform.any_op
    // CHECK: error: 'lowtide.fuse_channels': the handle has 'func.func', which is no layer and in none
    %loop = "lowtide.fuse_channels"(%main) {slice = 2 : i64} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x4x4x6xi8>) -> tensor<1x4x4x6xi8> {
    %1 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x4x4x6xi8>) -> tensor<1x4x4x6xi8>
    %2 = tosa.max_pool2d %1 {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x4x4x6xi8>) -> tensor<1x4x4x6xi8>
    return %2 : tensor<1x4x4x6xi8>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = "lowtide.layers"(%module) {numbers = [1, 2]} : (!transform.any_op) -> !transform.any_op
    %loop = "lowtide.fuse_channels"(%chain) {slice = 2 : i64} : (!transform.any_op) -> !transform.any_op
    %inside = transform.structured.match ops{["lowtide.layer"]} in %loop : (!transform.any_op) -> !transform.any_op
    // CHECK: error: 'lowtide.fuse_channels': layer 'linalg.pooling_nhwc_max' is in a loop already
    %again = "lowtide.fuse_channels"(%inside) {slice = 2 : i64} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x4x4x6xi8>) -> (tensor<1x4x4x6xi8>, tensor<1x4x4x6xi8>) {
    %1 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x4x4x6xi8>) -> tensor<1x4x4x6xi8>
    %2 = tosa.max_pool2d %1 {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x4x4x6xi8>) -> tensor<1x4x4x6xi8>
    %3 = tosa.max_pool2d %1 {kernel = array<i64: 5, 5>, pad = array<i64: 2, 2, 2, 2>, stride = array<i64: 1, 1>} : (tensor<1x4x4x6xi8>) -> tensor<1x4x4x6xi8>
    return %2, %3 : tensor<1x4x4x6xi8>, tensor<1x4x4x6xi8>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = "lowtide.layers"(%module) {numbers = [1, 3]} : (!transform.any_op) -> !transform.any_op
    // CHECK: error: 'lowtide.fuse_channels': layer 'linalg.pooling_nhwc_max', which is not in the chain, comes before its end
    %loop = "lowtide.fuse_channels"(%chain) {slice = 2 : i64} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x4x4x6xi8>) -> tensor<1x4x4x12xi8> {
    %1 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x4x4x6xi8>) -> tensor<1x4x4x6xi8>
    %2 = tosa.max_pool2d %x {kernel = array<i64: 5, 5>, pad = array<i64: 2, 2, 2, 2>, stride = array<i64: 1, 1>} : (tensor<1x4x4x6xi8>) -> tensor<1x4x4x6xi8>
    %3 = tosa.concat %1, %2 {axis = 3 : i32} : (tensor<1x4x4x6xi8>, tensor<1x4x4x6xi8>) -> tensor<1x4x4x12xi8>
    return %3 : tensor<1x4x4x12xi8>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = "lowtide.layers"(%module) {numbers = [2]} : (!transform.any_op) -> !transform.any_op
    // CHECK: error: 'lowtide.fuse_channels': layer 'tensor.insert_slice' writes a part of a tensor that others write too
    %loop = "lowtide.fuse_channels"(%chain) {slice = 2 : i64} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x4x4x6xi8>) -> tensor<1x4x4x6xi8> {
    %1 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x4x4x6xi8>) -> tensor<1x4x4x6xi8>
    %2 = tosa.reverse %1 {axis = 3 : i32} : (tensor<1x4x4x6xi8>) -> tensor<1x4x4x6xi8>
    %3 = tosa.max_pool2d %2 {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x4x4x6xi8>) -> tensor<1x4x4x6xi8>
    return %3 : tensor<1x4x4x6xi8>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = "lowtide.layers"(%module) {numbers = [1, 2]} : (!transform.any_op) -> !transform.any_op
    // CHECK: error: 'lowtide.fuse_channels': layer 'linalg.generic' (gather_0) can't be computed by channels
    %loop = "lowtide.fuse_channels"(%chain) {slice = 2 : i64} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x4x4x6xi8>) -> (tensor<1x4x4x6xi8>, tensor<1x4x4x6xi8>) {
    %1 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x4x4x6xi8>) -> tensor<1x4x4x6xi8>
    %2 = tosa.max_pool2d %x {kernel = array<i64: 5, 5>, pad = array<i64: 2, 2, 2, 2>, stride = array<i64: 1, 1>} : (tensor<1x4x4x6xi8>) -> tensor<1x4x4x6xi8>
    return %1, %2 : tensor<1x4x4x6xi8>, tensor<1x4x4x6xi8>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = "lowtide.layers"(%module) {numbers = [1, 2]} : (!transform.any_op) -> !transform.any_op
    // CHECK: error: 'lowtide.fuse_channels': nothing in the loop reads what layer 1 of the chain makes
    %loop = "lowtide.fuse_channels"(%chain) {slice = 2 : i64} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x4x4x6xi8>) -> (tensor<1x4x4x6xi32>, tensor<1x4x4x6xi8>) {
    %zero = "tosa.const"() <{values = dense<0> : tensor<1xi8>}> : () -> tensor<1xi8>
    %1 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x4x4x6xi8>) -> tensor<1x4x4x6xi8>
    %w2 = "tosa.const"() <{values = dense<1> : tensor<6x1x1x6xi8>}> : () -> tensor<6x1x1x6xi8>
    %b2 = "tosa.const"() <{values = dense<0> : tensor<6xi32>}> : () -> tensor<6xi32>
    %2 = tosa.conv2d %1, %w2, %b2, %zero, %zero {acc_type = i32, dilation = array<i64: 1, 1>, pad = array<i64: 0, 0, 0, 0>, stride = array<i64: 1, 1>} : (tensor<1x4x4x6xi8>, tensor<6x1x1x6xi8>, tensor<6xi32>, tensor<1xi8>, tensor<1xi8>) -> tensor<1x4x4x6xi32>
    %3 = tosa.clamp %2 {max_val = 9 : i32, min_val = -9 : i32} : (tensor<1x4x4x6xi32>) -> tensor<1x4x4x6xi32>
    %4 = tosa.max_pool2d %1 {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x4x4x6xi8>) -> tensor<1x4x4x6xi8>
    return %2, %4 : tensor<1x4x4x6xi32>, tensor<1x4x4x6xi8>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = "lowtide.layers"(%module) {numbers = [1, 2, 3]} : (!transform.any_op) -> !transform.any_op
    // CHECK: error: 'lowtide.fuse_channels': layer 'linalg.conv_2d_nhwc_fhwc' is complete only after its last slice; it can only be last
    %loop = "lowtide.fuse_channels"(%chain) {slice = 2 : i64} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}
