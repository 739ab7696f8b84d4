// lowtide-kernels: buffers become views of one arena, constants globals, layers calls; equal layers call one function.
// RUN: lowtide-opt %S/Inputs/convs.mlir --lowtide-import-tosa --lowtide-normalise --lowtide-outline --lowtide-allocate=overlap=0 --lowtide-kernels | FileCheck %s
// RUN: not lowtide-opt %S/Inputs/convs.mlir --lowtide-import-tosa --lowtide-outline --lowtide-kernels 2>&1 | FileCheck %s --check-prefix=EARLY

// CHECK:      module attributes {lowtide.allocation_bound_bytes = 64 : i64, lowtide.arena_bytes = 64 : i64, lowtide.input_offsets = {{.}}[[IN:[0-9]+]]], {{.*}}lowtide.output_offsets = {{.}}[[IN]]]}
// CHECK-NOT:  lowtide.arena"
// CHECK:      func.func private @conv_0(%{{.*}}: memref<1x4x4x2xi8>, %{{.*}}: memref<2xi32>, %{{.*}}: memref<1x4x4x2xi8>)
// CHECK-NOT:  func.func private
// CHECK:      memref.global "private" constant @[[BIAS:.*]] : memref<2xi32> = dense<[5, 6]> {alignment = 64 : i64}
// CHECK:      func.func @main(%[[A:.*]]: memref<64xi8>) {
// CHECK-DAG:  %[[X:.*]] = memref.view %[[A]][%c[[IN]]][] : memref<64xi8> to memref<1x4x4x2xi8>
// CHECK-DAG:  %[[B:.*]] = memref.get_global @[[BIAS]]
// CHECK:      %[[Y:.*]] = memref.view %[[A]]
// CHECK-NEXT: call @conv_0(%[[X]], %[[B]], %[[Y]])
// CHECK-NEXT: call @conv_0(%[[Y]], %[[B]], %[[X]])
// CHECK-NEXT: return
// CHECK-NEXT: }

// EARLY: kernels: the network has no arena
// EARLY: remedy: run lowtide-allocate first
