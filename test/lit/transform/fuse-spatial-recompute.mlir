// lowtide.fuse_spatial with the halo recomputed: no line buffer, each iteration makes the four rows that it needs.
// RUN: lowtide-opt %s --lowtide-import-tosa --transform-interpreter -o %t
// RUN: FileCheck %s --input-file %t
// RUN: lowtide-opt %t --lowtide-allocate --lowtide-kernels | FileCheck %s --check-prefix=CODE

// CHECK:      "lowtide.fused"() ({
// CHECK:      }) {axis = "rows", columns = 0 : i64, direction = "forwards", recompute = [1], rows = 1 : i64}

// CODE:       func.func @main
// CODE-DAG:   %[[X:.*]] = memref.view {{.*}} to memref<1x8x4x2xi8>
// CODE-DAG:   %[[NEW:.*]] = memref.view {{.*}} to memref<1x4x4x2xi8>
// CODE-DAG:   %[[OUT:.*]] = memref.view {{.*}} to memref<1x4x2x2xi8>
// CODE:       scf.for %{{.*}} = %c0 to %c4 step %c1 {
// CODE:       func.call @pool_0(%[[X]], %[[NEW]], %{{.*}}, %{{.*}})
// CODE-NEXT:  func.call @pool_1(%[[NEW]], %[[OUT]], %{{.*}}, %{{.*}})
// CODE-NEXT:  }
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x8x4x2xi8>) -> tensor<1x4x2x2xi8> {
    %0 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8>
    %1 = tosa.max_pool2d %0 {kernel = array<i64: 4, 4>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 2, 2>} : (tensor<1x8x4x2xi8>) -> tensor<1x4x2x2xi8>
    return %1 : tensor<1x4x2x2xi8>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = "lowtide.layers"(%module) {numbers = [1, 2]} : (!transform.any_op) -> !transform.any_op
    %loop = "lowtide.fuse_spatial"(%chain) {halo = "recompute", rows = 1} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}
