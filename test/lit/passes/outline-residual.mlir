// lowtide-outline: the sum of two activations is a layer, with the clamp that follows; what comes before stays apart.
// RUN: lowtide-opt %s --lowtide-import-tosa --lowtide-normalise --lowtide-outline | FileCheck %s

// CHECK:      func.func @main(%[[X:.*]]: tensor<1x4x4x2xf32>)
// CHECK-NEXT: %[[B0:.*]] = tensor.empty()
// CHECK-NEXT: %[[P:.*]] = "lowtide.layer"(%[[B0]])
// CHECK:      {kind = "pool", label = "linalg.pooling_nhwc_max"}
// CHECK-NEXT: %[[B1:.*]] = tensor.empty()
// CHECK-NEXT: %[[Y:.*]] = "lowtide.layer"(%[[B1]])
// CHECK:      ins(%[[X]], %[[P]] :
// CHECK:      arith.addf
// CHECK:      arith.minimumf
// CHECK:      {kind = "map", label = "linalg.generic"}
// CHECK-NEXT: return %[[Y]]
func.func @main(%x: tensor<1x4x4x2xf32>) -> tensor<1x4x4x2xf32> {
  %0 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x4x4x2xf32>) -> tensor<1x4x4x2xf32>
  %1 = tosa.add %x, %0 : (tensor<1x4x4x2xf32>, tensor<1x4x4x2xf32>) -> tensor<1x4x4x2xf32>
  %2 = tosa.clamp %1 {min_val = 0.0 : f32, max_val = 6.0 : f32} : (tensor<1x4x4x2xf32>) -> tensor<1x4x4x2xf32>
  return %2 : tensor<1x4x4x2xf32>
}
