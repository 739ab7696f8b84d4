// Unicorn's callback for the order of executed blocks, compiled when a run is asked for it (see order.py).
module {
  // { entries: ptr, count: i64, capacity: i64, base: i64, stop: ptr }: each block is noted as one i64, its size << 32 |
  // its offset from `base`. A full list stops the engine.
  llvm.func @note_block(%uc: !llvm.ptr, %address: i64, %size: i32, %user: !llvm.ptr) {
    %one = llvm.mlir.constant(1 : i64) : i64
    %word = llvm.mlir.constant(32 : i64) : i64
    %count_field = llvm.getelementptr %user[1] : (!llvm.ptr) -> !llvm.ptr, i64
    %count = llvm.load %count_field : !llvm.ptr -> i64
    %capacity_field = llvm.getelementptr %user[2] : (!llvm.ptr) -> !llvm.ptr, i64
    %capacity = llvm.load %capacity_field : !llvm.ptr -> i64
    %next = llvm.add %count, %one : i64
    llvm.store %next, %count_field : i64, !llvm.ptr
    %fits = llvm.icmp "ult" %count, %capacity : i64
    llvm.cond_br %fits, ^write, ^full
  ^write:
    %base_field = llvm.getelementptr %user[3] : (!llvm.ptr) -> !llvm.ptr, i64
    %base = llvm.load %base_field : !llvm.ptr -> i64
    %offset = llvm.sub %address, %base : i64
    %bytes = llvm.zext %size : i32 to i64
    %high = llvm.shl %bytes, %word : i64
    %entry = llvm.or %high, %offset : i64
    %entries = llvm.load %user : !llvm.ptr -> !llvm.ptr
    %place = llvm.getelementptr %entries[%count] : (!llvm.ptr, i64) -> !llvm.ptr, i64
    llvm.store %entry, %place : i64, !llvm.ptr
    llvm.return
  ^full:
    %stop_field = llvm.getelementptr %user[4] : (!llvm.ptr) -> !llvm.ptr, i64
    %stop = llvm.load %stop_field : !llvm.ptr -> !llvm.ptr
    %status = llvm.call %stop(%uc) : !llvm.ptr, (!llvm.ptr) -> i32
    llvm.return
  }

  // The bindings hand out only wrappers of compiled functions; this one tells the address itself.
  llvm.func @addresses(%out: !llvm.ptr) {
    %note_block = llvm.mlir.addressof @note_block : !llvm.ptr
    llvm.store %note_block, %out : !llvm.ptr, !llvm.ptr
    llvm.return
  }
}
