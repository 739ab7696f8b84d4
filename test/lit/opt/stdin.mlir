// The tool reads standard input, with or without a name for it, and prints what it read.
// RUN: lowtide-opt < %s | FileCheck %s
// RUN: lowtide-opt - < %s | FileCheck %s
// RUN: lowtide-opt %s -o %t && FileCheck %s < %t

// CHECK:      func.func @double(%arg0: i32) -> i32 {
// CHECK-NEXT:   %0 = arith.addi %arg0, %arg0 : i32
// CHECK-NEXT:   return %0 : i32
func.func @double(%x: i32) -> i32 {
  %y = arith.addi %x, %x : i32
  return %y : i32
}
