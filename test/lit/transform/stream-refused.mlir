// What lowtide.stream refuses, and the loops that a source can't be in.
// RUN: not lowtide-opt %s --split-input-file --lowtide-import-tosa --transform-interpreter 2>&1 | FileCheck %s

module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x8x4x2xi8>) -> tensor<1x4x2x2xi8> {
    %1 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8>
    %2 = tosa.max_pool2d %1 {kernel = array<i64: 2, 2>, pad = array<i64: 0, 0, 0, 0>, stride = array<i64: 2, 2>} : (tensor<1x8x4x2xi8>) -> tensor<1x4x2x2xi8>
    return %2 : tensor<1x4x2x2xi8>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    // CHECK: error: 'lowtide.stream': the inputs are numbered from 0; one or more are wanted, and each is named once
    "lowtide.stream"(%module) {inputs = [0, 0]} : (!transform.any_op) -> ()
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
    // CHECK: error: 'lowtide.stream': the inputs are not a list of integers
    "lowtide.stream"(%module) {inputs = ["x"]} : (!transform.any_op) -> ()
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
    // CHECK: error: 'lowtide.stream': unknown attribute 'rows'; it has inputs
    "lowtide.stream"(%module) {inputs = [0], rows = 1} : (!transform.any_op) -> ()
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
    %none = transform.structured.match ops{["scf.for"]} in %module : (!transform.any_op) -> !transform.any_op
    // CHECK: error: 'lowtide.stream': the handle is empty
    "lowtide.stream"(%none) {inputs = [0]} : (!transform.any_op) -> ()
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
    // CHECK: error: 'lowtide.stream': the network has been cut into layers already; this comes before other steps
    "lowtide.stream"(%module) {inputs = [0]} : (!transform.any_op) -> ()
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
    "lowtide.stream"(%module) {inputs = [1]} : (!transform.any_op) -> ()
    // CHECK: 'lowtide.layers': {{.*}}input 1 is to arrive row by row, the network has 1 inputs
    %chain = "lowtide.layers"(%module) {numbers = [1, 2]} : (!transform.any_op) -> !transform.any_op
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
    "lowtide.stream"(%module) {inputs = [0]} : (!transform.any_op) -> ()
    %chain = "lowtide.layers"(%module) {numbers = [1, 2]} : (!transform.any_op) -> !transform.any_op
    // CHECK: error: 'lowtide.fuse_spatial': 'input 0' arrives from its first row on: no loop goes through it backwards
    %loop = "lowtide.fuse_spatial"(%chain) {rows = 1, direction = "backwards"} : (!transform.any_op) -> !transform.any_op
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
    "lowtide.stream"(%module) {inputs = [0]} : (!transform.any_op) -> ()
    %chain = "lowtide.layers"(%module) {numbers = [1, 2]} : (!transform.any_op) -> !transform.any_op
    // CHECK: error: 'lowtide.fuse_spatial': the rows of 'input 0' arrive once: they can't be asked for again
    %loop = "lowtide.fuse_spatial"(%chain) {rows = 1, halo = "recompute", recompute = [1]} : (!transform.any_op) -> !transform.any_op
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
    "lowtide.stream"(%module) {inputs = [0]} : (!transform.any_op) -> ()
    %chain = "lowtide.layers"(%module) {numbers = [1, 2]} : (!transform.any_op) -> !transform.any_op
    // CHECK: error: 'lowtide.fuse_spatial': layer 1 of the chain can't be computed by columns
    %loop = "lowtide.fuse_spatial"(%chain) {rows = 1, columns = 1} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}
