// lowtide-allocate leaves out a copy onto itself: the input is put where the concat's first part belongs.
// RUN: lowtide-opt %s --lowtide-import-tosa --lowtide-normalise --lowtide-outline --lowtide-bufferise \
// RUN:   --lowtide-allocate | FileCheck %s

// CHECK: lowtide.arena_bytes = 8
// CHECK: func.func @main(%{{.*}}: memref<8xi8>)
// CHECK-NOT: call @concat_0
// CHECK: call @concat_1
func.func @main(%x: tensor<4xi8>) -> tensor<8xi8> {
  %0 = "tosa.const"() <{values = dense<[1, 2, 3, 4]> : tensor<4xi8>}> : () -> tensor<4xi8>
  %1 = tosa.concat %x, %0 {axis = 0 : i32} : (tensor<4xi8>, tensor<4xi8>) -> tensor<8xi8>
  return %1 : tensor<8xi8>
}
