// Unicorn's callback for every load and store of the arena, compiled when a run is witnessed (see lowtide.emulate.trace).
module {
  // { entries: ptr, count: i64, capacity: i64, base: i64, bytes: i64, stop: ptr }: one i32 for an access to the `bytes`
  // from `base`, as `Trace` reads it: offset << 5 | (size - 1) << 1 | is a store. Kind 17 is UC_MEM_WRITE. A full list
  // stops the engine.
  llvm.func @record(%uc: !llvm.ptr, %kind: i32, %address: i64, %size: i32, %value: i64, %user: !llvm.ptr) {
    %one = llvm.mlir.constant(1 : i64) : i64
    %one_i32 = llvm.mlir.constant(1 : i32) : i32
    %five = llvm.mlir.constant(5 : i32) : i32
    %write = llvm.mlir.constant(17 : i32) : i32
    %base_field = llvm.getelementptr %user[3] : (!llvm.ptr) -> !llvm.ptr, i64
    %base = llvm.load %base_field : !llvm.ptr -> i64
    %bytes_field = llvm.getelementptr %user[4] : (!llvm.ptr) -> !llvm.ptr, i64
    %bytes = llvm.load %bytes_field : !llvm.ptr -> i64
    %far = llvm.sub %address, %base : i64
    %inside = llvm.icmp "ult" %far, %bytes : i64
    llvm.cond_br %inside, ^watched, ^done
  ^watched:
    %count_field = llvm.getelementptr %user[1] : (!llvm.ptr) -> !llvm.ptr, i64
    %count = llvm.load %count_field : !llvm.ptr -> i64
    %capacity_field = llvm.getelementptr %user[2] : (!llvm.ptr) -> !llvm.ptr, i64
    %capacity = llvm.load %capacity_field : !llvm.ptr -> i64
    %next = llvm.add %count, %one : i64
    llvm.store %next, %count_field : i64, !llvm.ptr
    %fits = llvm.icmp "ult" %count, %capacity : i64
    llvm.cond_br %fits, ^note, ^full
  ^note:
    %entries = llvm.load %user : !llvm.ptr -> !llvm.ptr
    %offset = llvm.trunc %far : i64 to i32
    %high = llvm.shl %offset, %five : i32
    %less = llvm.sub %size, %one_i32 : i32
    %middle = llvm.shl %less, %one_i32 : i32
    %is_write = llvm.icmp "eq" %kind, %write : i32
    %low = llvm.zext %is_write : i1 to i32
    %upper = llvm.or %high, %middle : i32
    %entry = llvm.or %upper, %low : i32
    %place = llvm.getelementptr %entries[%count] : (!llvm.ptr, i64) -> !llvm.ptr, i32
    llvm.store %entry, %place : i32, !llvm.ptr
    llvm.return
  ^full:
    %stop_field = llvm.getelementptr %user[5] : (!llvm.ptr) -> !llvm.ptr, i64
    %stop = llvm.load %stop_field : !llvm.ptr -> !llvm.ptr
    %status = llvm.call %stop(%uc) : !llvm.ptr, (!llvm.ptr) -> i32
    llvm.return
  ^done:
    llvm.return
  }

  // The bindings hand out only wrappers of compiled functions; this one tells the address itself.
  llvm.func @address(%out: !llvm.ptr) {
    %record = llvm.mlir.addressof @record : !llvm.ptr
    llvm.store %record, %out : !llvm.ptr, !llvm.ptr
    llvm.return
  }
}
