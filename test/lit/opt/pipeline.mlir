// MLIR's passes, nested or not, by pipeline text and by flag; the order is the command line's.
// RUN: lowtide-opt %s --pass-pipeline='builtin.module(func.func(cse),symbol-dce)' | FileCheck %s --check-prefix=CSE
// RUN: lowtide-opt %s --cse --canonicalize=max-iterations=3 | FileCheck %s --check-prefix=BOTH
// RUN: lowtide-opt %s --cse --canonicalize --print-after-all 2>&1 > %t | FileCheck %s --check-prefix=DUMP

// CSE-LABEL:  @twice
// CSE:          arith.addi
// CSE-NOT:      arith.addi
// CSE-NOT:    @unused

// BOTH-LABEL: @twice
// BOTH-NEXT:    return %arg0 : i32

// DUMP:       IR Dump After cse
// DUMP:       IR Dump After canonicalize
func.func @twice(%x: i32) -> i32 {
  %zero = arith.constant 0 : i32
  %a = arith.addi %x, %zero : i32
  %b = arith.addi %x, %zero : i32
  %unused = arith.muli %a, %b : i32
  return %b : i32
}
func.func private @unused()
