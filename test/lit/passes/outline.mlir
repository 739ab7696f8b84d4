// lowtide-outline: a convolution with its pad and requantisation is one layer; what layers share stays outside if it is a table.
// RUN: lowtide-opt %S/Inputs/convs.mlir --lowtide-import-tosa --lowtide-normalise --lowtide-outline | FileCheck %s

// CHECK:       func.func @main(%[[X:.*]]: tensor<1x4x4x2xi8>)
// CHECK-NEXT:  %[[BIAS:.*]] = arith.constant dense<[5, 6]> : tensor<2xi32>
// CHECK-NEXT:  %[[B0:.*]] = tensor.empty() : tensor<1x4x4x2xi8>
// CHECK-NEXT:  %[[Y0:.*]] = "lowtide.layer"(%[[B0]]) ({
// CHECK:       tensor.pad %[[X]]
// CHECK:       ins(%[[BIAS]] : tensor<2xi32>)
// CHECK:       %[[SUM:.*]] = linalg.conv_2d_nhwc_fhwc_q
// CHECK:       ins(%[[SUM]] :
// CHECK:       arith.muli
// CHECK:       arith.shrsi
// CHECK:       "lowtide.yield"(%{{.*}}) : (tensor<1x4x4x2xi8>) -> ()
// CHECK-NEXT:  }) {kind = "conv", label = "linalg.generic"} : (tensor<1x4x4x2xi8>) -> tensor<1x4x4x2xi8>
// CHECK-NEXT:  %[[B1:.*]] = tensor.empty() : tensor<1x4x4x2xi8>
// CHECK-NEXT:  %[[Y1:.*]] = "lowtide.layer"(%[[B1]]) ({
// CHECK:       tensor.pad %[[Y0]]
// CHECK:       ins(%[[BIAS]] : tensor<2xi32>)
// CHECK:       }) {kind = "conv"
// CHECK-NEXT:  return %[[Y1]]
