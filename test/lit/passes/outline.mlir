// lowtide-outline: a convolution with its pad and requantisation is one layer, and equal layers are one function.
// RUN: lowtide-opt %S/Inputs/convs.mlir --lowtide-import-tosa --lowtide-normalise --lowtide-outline | FileCheck %s

// CHECK-COUNT-1: func.func private @conv_0
// CHECK-LABEL: func.func @main
// CHECK-SAME:  (%[[X:.*]]: tensor<1x4x4x2xi8>)
// CHECK:       %[[B0:.*]] = bufferization.alloc_tensor() : tensor<1x4x4x2xi8>
// CHECK-NEXT:  %[[Y0:.*]] = call @conv_0(%[[X]], %{{.*}}, %[[B0]])
// CHECK-NEXT:  %[[B1:.*]] = bufferization.alloc_tensor() : tensor<1x4x4x2xi8>
// CHECK-NEXT:  %[[Y1:.*]] = call @conv_0(%[[Y0]], %{{.*}}, %[[B1]])
// CHECK-NEXT:  return %[[Y1]]

// CHECK:       module @layers
// CHECK-NEXT:  func.func private @conv_0(%[[A:.*]]: tensor<1x4x4x2xi8>, %{{.*}}: tensor<2xi32>, %{{.*}}: tensor<1x4x4x2xi8>) -> tensor<1x4x4x2xi8>
// CHECK:       tensor.pad %[[A]]
// CHECK:       arith.muli
// CHECK:       arith.shrsi
// CHECK:       return %{{.*}} : tensor<1x4x4x2xi8>
// CHECK-NOT:   func.func
