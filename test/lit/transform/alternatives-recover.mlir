// A chain that can't go by rows is declined: transform.alternatives and failures(suppress) recover, and the network is whole.
// RUN: lowtide-opt %s --lowtide-import-tosa --transform-interpreter -o %t
// RUN: FileCheck %s --input-file %t
// RUN: lowtide-opt %t --lowtide-outline --lowtide-allocate --lowtide-kernels | FileCheck %s --check-prefix=CODE
// RUN: lowtide-opt %S/Inputs/reversed.mlir --lowtide-import-tosa --transform-script=%S/Inputs/suppressed.mlir | FileCheck %s
// RUN: not lowtide-opt %S/Inputs/reversed.mlir --lowtide-import-tosa --transform-script=%S/Inputs/no-alternative.mlir 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not lowtide-opt %S/Inputs/reversed.mlir --lowtide-import-tosa --transform-script=%S/Inputs/definite.mlir 2>&1 | FileCheck %s --check-prefix=DEFINITE

// CHECK:      func.func @main
// CHECK:      }) {kind = "pool"
// CHECK:      }) {kind = "gather"
// CHECK:      %[[LOOP:.*]] = "lowtide.fused"() ({
// CHECK:      }) {kind = "pool"
// CHECK:      }) {kind = "pool"
// CHECK-NEXT: }) {axis = "rows"
// CHECK-NEXT: %[[Y:.*]] = "lowtide.output"(%[[LOOP]]) {layer = 2 : i64}
// CHECK-NEXT: return %[[Y]]

// CODE:       call @pool_0(
// CODE-NEXT:  call @gather_0
// CODE-NEXT:  scf.for
// CODE:       func.call @pool_0_rows(
// CODE-NEXT:  func.call @pool_1(

// NONE:       no-alternative.mlir:7:15: error: 'lowtide.fuse_spatial': layer 'linalg.generic' (gather_0) can't be computed by rows
// NONE-NEXT:  {{.*}}no-alternative.mlir:11:15: error: 'lowtide.fuse_spatial': layer 'linalg.generic' (gather_0) can't be computed by rows
// NONE-NEXT:  transform.alternatives: all alternatives failed
// DEFINITE:   definite.mlir:7:15: error: 'lowtide.fuse_spatial': 0 rows an iteration; 1 or more are wanted
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8> {
    %1 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8>
    %2 = tosa.reverse %1 {axis = 1 : i32} : (tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8>
    %3 = tosa.max_pool2d %2 {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8>
    %4 = tosa.max_pool2d %3 {kernel = array<i64: 3, 1>, pad = array<i64: 1, 1, 0, 0>, stride = array<i64: 1, 1>} : (tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8>
    return %4 : tensor<1x8x4x2xi8>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %main = transform.structured.match ops{["func.func"]} in %module : (!transform.any_op) -> !transform.any_op
    transform.alternatives %main : !transform.any_op {
    ^bb0(%scope: !transform.any_op):
      %all = "lowtide.layers"(%scope) : (!transform.any_op) -> !transform.any_op
      %loop = "lowtide.fuse_spatial"(%all) {rows = 1} : (!transform.any_op) -> !transform.any_op
    }, {
    ^bb0(%scope: !transform.any_op):
      %all = "lowtide.layers"(%scope) {numbers = [3, 4]} : (!transform.any_op) -> !transform.any_op
      %loop = "lowtide.fuse_spatial"(%all) {rows = 1} : (!transform.any_op) -> !transform.any_op
    }
    transform.yield
  }
}
