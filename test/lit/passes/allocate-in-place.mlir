// A copy onto itself is left out: lowtide-allocate puts the input where the concat's first part belongs.
// RUN: lowtide-opt %s --lowtide-import-tosa --lowtide-normalise --lowtide-outline --lowtide-allocate -o %t
// RUN: FileCheck %s --input-file %t
// RUN: lowtide-opt %t --lowtide-kernels | FileCheck %s --check-prefix=CODE

// CHECK: "lowtide.arena"()
// CHECK-SAME: name = "input_0", offset = 0 : i64}
// CHECK-SAME: name = "tensor.insert_slice", offset = 0 : i64}
// CHECK-SAME: bytes = 8 : i64, keep_input

// CODE: func.func @main(%{{.*}}: memref<8xi8>)
// CODE-NOT: call @concat_0
// CODE: call @concat_1
func.func @main(%x: tensor<4xi8>) -> tensor<8xi8> {
  %0 = "tosa.const"() <{values = dense<[1, 2, 3, 4]> : tensor<4xi8>}> : () -> tensor<4xi8>
  %1 = tosa.concat %x, %0 {axis = 0 : i32} : (tensor<4xi8>, tensor<4xi8>) -> tensor<8xi8>
  return %1 : tensor<8xi8>
}
