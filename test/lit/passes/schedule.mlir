// lowtide-schedule=order=… moves the calls of layers into the order, each with its own buffer; without the option nothing moves.
// RUN: lowtide-opt %s --lowtide-schedule=order=2,1,3 | FileCheck %s
// RUN: lowtide-opt %s --lowtide-schedule | FileCheck %s --check-prefix=SAME

module {
  func.func private @map_0(tensor<4xi8>, tensor<4xi8>) -> tensor<4xi8>
  func.func private @map_1(tensor<4xi8>, tensor<4xi8>, tensor<4xi8>) -> tensor<4xi8>
  // CHECK: func.func @main
  func.func @main(%x: tensor<4xi8>) -> tensor<4xi8> {
    %0 = bufferization.alloc_tensor() : tensor<4xi8>
    %a = call @map_0(%x, %0) {lowtide.layer = "a"} : (tensor<4xi8>, tensor<4xi8>) -> tensor<4xi8>
    %1 = bufferization.alloc_tensor() : tensor<4xi8>
    %b = call @map_0(%x, %1) {lowtide.layer = "b"} : (tensor<4xi8>, tensor<4xi8>) -> tensor<4xi8>
    %2 = bufferization.alloc_tensor() : tensor<4xi8>
    %c = call @map_1(%a, %b, %2) {lowtide.layer = "c"} : (tensor<4xi8>, tensor<4xi8>, tensor<4xi8>) -> tensor<4xi8>
    return %c : tensor<4xi8>
  }
  // CHECK-NEXT: bufferization.alloc_tensor
  // CHECK-NEXT: [[B:%.*]] = call @map_0({{.*}}lowtide.layer = "b"
  // CHECK-NEXT: bufferization.alloc_tensor
  // CHECK-NEXT: [[A:%.*]] = call @map_0({{.*}}lowtide.layer = "a"
  // CHECK-NEXT: bufferization.alloc_tensor
  // CHECK-NEXT: call @map_1([[A]], [[B]],

  // SAME:      lowtide.layer = "a"
  // SAME:      lowtide.layer = "b"
  // SAME:      lowtide.layer = "c"
}
