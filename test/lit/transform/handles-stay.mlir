// Handles mean after a fusion what they meant before it: layers in a loop are still layers, with their numbers and linalg.
// RUN: lowtide-opt %s --lowtide-import-tosa --transform-interpreter -o %t
// RUN: FileCheck %s --input-file %t
// RUN: lowtide-opt %t --lowtide-outline --lowtide-allocate --lowtide-kernels | FileCheck %s --check-prefix=CODE

// CHECK:      "lowtide.fused"() ({
// CHECK:      linalg.pooling_nhwc_max {{.*}}pool{{.*}}tensor<3x3xi8>
// CHECK:      }) {chain, kernel = "general", kind = "pool", label = "linalg.pooling_nhwc_max"}
// CHECK:      linalg.pooling_nhwc_max {{.*}}pool{{.*}}tensor<3x1xi8>
// CHECK:      }) {chain, kind = "pool", label = "linalg.pooling_nhwc_max", second}
// CHECK-NEXT: }) {axis = "rows"
// CHECK:      linalg.pooling_nhwc_max {{.*}}pool{{.*}}tensor<2x2xi8>
// CHECK:      }) {kind = "pool", label = "linalg.pooling_nhwc_max", last}

// CODE:       scf.for
// CODE:       func.call @pool_0_general(
// CODE-NEXT:  func.call @pool_1(
// CODE:       call @pool_2
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x8x4x2xi8>) -> tensor<1x4x2x2xi8> {
    %1 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8>
    %2 = tosa.max_pool2d %1 {kernel = array<i64: 3, 1>, pad = array<i64: 1, 1, 0, 0>, stride = array<i64: 1, 1>} : (tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8>
    %3 = tosa.max_pool2d %2 {kernel = array<i64: 2, 2>, pad = array<i64: 0, 0, 0, 0>, stride = array<i64: 2, 2>} : (tensor<1x8x4x2xi8>) -> tensor<1x4x2x2xi8>
    return %3 : tensor<1x4x2x2xi8>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %pools = transform.structured.match ops{["linalg.pooling_nhwc_max"]} in %module : (!transform.any_op) -> !transform.any_op
    %first = "lowtide.layers"(%module) {numbers = [1]} : (!transform.any_op) -> !transform.any_op
    %chain = "lowtide.layers"(%module) {numbers = [1, 2]} : (!transform.any_op) -> !transform.any_op
    %loop = "lowtide.fuse_spatial"(%chain) {rows = 1} : (!transform.any_op) -> !transform.any_op
    "lowtide.kernel"(%first) {kernel = "general"} : (!transform.any_op) -> ()
    transform.annotate %chain "chain" : !transform.any_op
    %last = "lowtide.layers"(%module) {numbers = [3]} : (!transform.any_op) -> !transform.any_op
    transform.annotate %last "last" : !transform.any_op
    %second = "lowtide.layers"(%module) {numbers = [2]} : (!transform.any_op) -> !transform.any_op
    transform.annotate %second "second" : !transform.any_op
    transform.annotate %pools "pool" : !transform.any_op
    transform.yield
  }
}
