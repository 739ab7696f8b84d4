// lowtide.stream: the input arrives row by row: a source makes it, in the loop of what reads it; a line buffer of two rows.
// The network's function takes up where it was: nothing in it stores the source's rows, the caller has brought them.
// RUN: lowtide-opt %s --lowtide-import-tosa --lowtide-normalise --transform-interpreter -o %t
// RUN: FileCheck %s --input-file %t
// RUN: lowtide-opt %t --lowtide-allocate -o %t.arena
// RUN: FileCheck %s --input-file %t.arena --check-prefix=ARENA
// RUN: lowtide-opt %t.arena --lowtide-kernels | FileCheck %s --check-prefix=CODE

// CHECK:      func.func @main(%[[X:.*]]: tensor<1x8x4x2xi8>) -> tensor<1x4x2x2xi8>
// CHECK:      "lowtide.fused"
// CHECK:      %[[ROWS:.*]] = "lowtide.layer"
// CHECK-NEXT: "lowtide.yield"(%[[X]])
// CHECK-NEXT: {kind = "source", label = "input 0"}
// CHECK-NOT:  %[[X]]
// CHECK:      tensor.pad %[[ROWS]]
// CHECK:      {axis = "rows", columns = 0 : i64, direction = "forwards", recompute = [], rows = 1 : i64}

// ARENA:      "lowtide.arena"
// ARENA-SAME: bytes = 24 : i64, first = {{.*}}name = "input 0"
// ARENA-SAME: bytes = 16 : i64, first = 0 : i64, last = {{.*}}name = "stream position"

// CODE:      func.func @main(%[[A:.*]]: memref<{{.*}}xi8>)
// CODE-DAG:  %[[RING:.*]] = memref.view %[[A]]{{.*}} to memref<1x3x4x2xi8>
// CODE-DAG:  %[[WORDS:.*]] = memref.view %[[A]]{{.*}} to memref<4xi32>
// CODE:      memref.load %[[WORDS]]
// CODE:      scf.for
// CODE-NOT:  call @source
// CODE:      call @pool_0(%[[RING]], %{{.*}})
// CODE-NEXT: call @pool_1(
// CODE-NEXT: }
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x8x4x2xi8>) -> tensor<1x4x2x2xi8> {
    %1 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8>
    %2 = tosa.max_pool2d %1 {kernel = array<i64: 2, 2>, pad = array<i64: 0, 0, 0, 0>, stride = array<i64: 2, 2>} : (tensor<1x8x4x2xi8>) -> tensor<1x4x2x2xi8>
    return %2 : tensor<1x4x2x2xi8>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    "lowtide.stream"(%module) {inputs = [0]} : (!transform.any_op) -> ()
    %chain = "lowtide.layers"(%module) {numbers = [1, 2, 3]} : (!transform.any_op) -> !transform.any_op
    %loop = "lowtide.fuse_spatial"(%chain) {rows = 1} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}
