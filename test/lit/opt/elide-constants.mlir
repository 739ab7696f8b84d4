// Constants of more elements than asked for are left out of the print; the rest stays.
// RUN: lowtide-opt %s --elide-constants=4 | FileCheck %s

// CHECK: %[[SMALL:.*]] = arith.constant dense<[1, 2, 3, 4]> : tensor<4xi8>
// CHECK: %[[LARGE:.*]] = arith.constant dense_resource<__elided__> : tensor<5xi8>
func.func @constants() -> (tensor<4xi8>, tensor<5xi8>) {
  %small = arith.constant dense<[1, 2, 3, 4]> : tensor<4xi8>
  %large = arith.constant dense<[1, 2, 3, 4, 5]> : tensor<5xi8>
  return %small, %large : tensor<4xi8>, tensor<5xi8>
}
