// A padded convolution of bytes and its requantisation in blocks of rows and columns, between layers that lowtide fuses.
// RUN: lowtide-opt %s --transform-interpreter --lowtide-outline --lowtide-allocate --lowtide-kernels | FileCheck %s

// CHECK:      func.func private @loop_0(%[[X:.*]]: memref<1x10x10x2xi8>, %{{.*}}: memref<3x3x2x4xi8>, %[[Y:.*]]: memref<1x8x8x4xi8>, %[[SUMS:.*]]: memref<1x4x2x4xi32>)
// CHECK:      scf.for %{{.*}} = %c0 to %c8 step %c4 {
// CHECK-NEXT: scf.for %{{.*}} = %c0 to %c8 step %c2 {
// CHECK:      memref.load %[[X]]
// CHECK:      memref.store %{{.*}}, %[[SUMS]]
// CHECK:      arith.trunci
// CHECK:      memref.store %{{.*}}, %[[Y]]
// CHECK:      func.func private @map_0(%{{.*}}: memref<1x8x8x2xi8>, %{{.*}}: memref<1x10x10x2xi8>)
// CHECK:      func.func @main(
// CHECK:      call @map_0(%{{.*}}, %[[PADDED:.*]]) :
// CHECK-NEXT: call @loop_0(%[[PADDED]], %{{.*}}, %[[MADE:.*]], %{{.*}}) :
// CHECK:      func.call @pool_0(%[[MADE]], %[[RING:.*]], %{{.*}}, %{{.*}}) :
// CHECK-NEXT: func.call @pool_1(%[[RING]],
#map = affine_map<(a, b, c, d) -> (a, b, c, d)>
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x8x8x2xi8>, %w: tensor<3x3x2x4xi8>) -> tensor<1x4x4x4xi8> {
    %zero8 = arith.constant 0 : i8
    %zero = arith.constant 0 : i32
    %six = arith.constant 6 : i32
    %p = tensor.pad %x low[0, 1, 1, 0] high[0, 1, 1, 0] {
    ^bb0(%a: index, %b: index, %c: index, %d: index):
      tensor.yield %zero8 : i8
    } : tensor<1x8x8x2xi8> to tensor<1x10x10x2xi8>
    %e0 = tensor.empty() : tensor<1x8x8x4xi32>
    %f0 = linalg.fill ins(%zero : i32) outs(%e0 : tensor<1x8x8x4xi32>) -> tensor<1x8x8x4xi32>
    %0 = linalg.conv_2d_nhwc_hwcf ins(%p, %w : tensor<1x10x10x2xi8>, tensor<3x3x2x4xi8>) outs(%f0 : tensor<1x8x8x4xi32>) -> tensor<1x8x8x4xi32>
    %e1 = tensor.empty() : tensor<1x8x8x4xi8>
    %1 = linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%0 : tensor<1x8x8x4xi32>) outs(%e1 : tensor<1x8x8x4xi8>) {
    ^bb0(%a: i32, %b: i8):
      %shifted = arith.shrsi %a, %six : i32
      %byte = arith.trunci %shifted : i32 to i8
      linalg.yield %byte : i8
    } -> tensor<1x8x8x4xi8>
    %low = arith.constant -128 : i8
    %window = tensor.empty() : tensor<3x3xi8>
    %e2 = tensor.empty() : tensor<1x6x6x4xi8>
    %f2 = linalg.fill ins(%low : i8) outs(%e2 : tensor<1x6x6x4xi8>) -> tensor<1x6x6x4xi8>
    %2 = linalg.pooling_nhwc_max ins(%1, %window : tensor<1x8x8x4xi8>, tensor<3x3xi8>) outs(%f2 : tensor<1x6x6x4xi8>) -> tensor<1x6x6x4xi8>
    %e3 = tensor.empty() : tensor<1x4x4x4xi8>
    %f3 = linalg.fill ins(%low : i8) outs(%e3 : tensor<1x4x4x4xi8>) -> tensor<1x4x4x4xi8>
    %3 = linalg.pooling_nhwc_max ins(%2, %window : tensor<1x6x6x4xi8>, tensor<3x3xi8>) outs(%f3 : tensor<1x4x4x4xi8>) -> tensor<1x4x4x4xi8>
    return %3 : tensor<1x4x4x4xi8>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %conv = transform.structured.match ops{["linalg.conv_2d_nhwc_hwcf"]} in %module : (!transform.any_op) -> !transform.any_op
    %fill = transform.get_producer_of_operand %conv[2] : (!transform.any_op) -> !transform.any_op
    %scale = transform.structured.match ops{["linalg.generic"]} in %module : (!transform.any_op) -> !transform.any_op
    %tile, %rows, %columns = transform.structured.tile_using_for %scale tile_sizes [0, 4, 2] : (!transform.any_op) -> (!transform.any_op, !transform.any_op, !transform.any_op)
    %inside, %columns1 = transform.structured.fuse_into_containing_op %conv into %columns : (!transform.any_op, !transform.any_op) -> (!transform.any_op, !transform.any_op)
    %filled, %columns2 = transform.structured.fuse_into_containing_op %fill into %columns1 : (!transform.any_op, !transform.any_op) -> (!transform.any_op, !transform.any_op)
    %pools = transform.structured.match ops{["linalg.pooling_nhwc_max"]} in %module : (!transform.any_op) -> !transform.any_op
    %fused = "lowtide.fuse_spatial"(%pools) {rows = 2} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}
