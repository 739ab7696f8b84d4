// Unicorn's callbacks for loads and stores of a watched arena, compiled when a run is witnessed (see trace.py).
module {
  // { entries: ptr, count: i64, capacity: i64, low: i64, bytes: i64, host: ptr, stop: ptr }: the arena is the `bytes` from
  // offset `low` of the mapping, and lies at `host`. Each access is noted as one i32, which `Trace` reads: offset << 5 |
  // (size - 1) << 1 | is a store. A full list stops the engine.
  llvm.func internal @note(%uc: !llvm.ptr, %far: i64, %size: i32, %is_write: i1, %user: !llvm.ptr) {
    %one = llvm.mlir.constant(1 : i64) : i64
    %one_i32 = llvm.mlir.constant(1 : i32) : i32
    %five = llvm.mlir.constant(5 : i32) : i32
    %count_field = llvm.getelementptr %user[1] : (!llvm.ptr) -> !llvm.ptr, i64
    %count = llvm.load %count_field : !llvm.ptr -> i64
    %capacity_field = llvm.getelementptr %user[2] : (!llvm.ptr) -> !llvm.ptr, i64
    %capacity = llvm.load %capacity_field : !llvm.ptr -> i64
    %next = llvm.add %count, %one : i64
    llvm.store %next, %count_field : i64, !llvm.ptr
    %fits = llvm.icmp "ult" %count, %capacity : i64
    llvm.cond_br %fits, ^write, ^full
  ^write:
    %entries = llvm.load %user : !llvm.ptr -> !llvm.ptr
    %offset = llvm.trunc %far : i64 to i32
    %high = llvm.shl %offset, %five : i32
    %less = llvm.sub %size, %one_i32 : i32
    %middle = llvm.shl %less, %one_i32 : i32
    %low = llvm.zext %is_write : i1 to i32
    %upper = llvm.or %high, %middle : i32
    %entry = llvm.or %upper, %low : i32
    %place = llvm.getelementptr %entries[%count] : (!llvm.ptr, i64) -> !llvm.ptr, i32
    llvm.store %entry, %place : i32, !llvm.ptr
    llvm.return
  ^full:
    %stop_field = llvm.getelementptr %user[6] : (!llvm.ptr) -> !llvm.ptr, i64
    %stop = llvm.load %stop_field : !llvm.ptr -> !llvm.ptr
    %status = llvm.call %stop(%uc) : !llvm.ptr, (!llvm.ptr) -> i32
    llvm.return
  }

  // The offset in the arena of an offset in the mapping; what lies outside is above every offset inside.
  llvm.func internal @offset(%offset: i64, %user: !llvm.ptr) -> i64 {
    %low_field = llvm.getelementptr %user[3] : (!llvm.ptr) -> !llvm.ptr, i64
    %low = llvm.load %low_field : !llvm.ptr -> i64
    %far = llvm.sub %offset, %low : i64
    llvm.return %far : i64
  }

  llvm.func internal @is_inside(%far: i64, %user: !llvm.ptr) -> i1 {
    %bytes_field = llvm.getelementptr %user[4] : (!llvm.ptr) -> !llvm.ptr, i64
    %bytes = llvm.load %bytes_field : !llvm.ptr -> i64
    %inside = llvm.icmp "ult" %far, %bytes : i64
    llvm.return %inside : i1
  }

  llvm.func internal @place(%far: i64, %user: !llvm.ptr) -> !llvm.ptr {
    %host_field = llvm.getelementptr %user[5] : (!llvm.ptr) -> !llvm.ptr, i64
    %host = llvm.load %host_field : !llvm.ptr -> !llvm.ptr
    %place = llvm.getelementptr %host[%far] : (!llvm.ptr, i64) -> !llvm.ptr, i8
    llvm.return %place : !llvm.ptr
  }

  // The low bits that a value of so many bytes has.
  llvm.func internal @mask(%size: i32) -> i64 {
    %all = llvm.mlir.constant(-1 : i64) : i64
    %three = llvm.mlir.constant(3 : i64) : i64
    %word = llvm.mlir.constant(64 : i64) : i64
    %bytes = llvm.zext %size : i32 to i64
    %bits = llvm.shl %bytes, %three : i64
    %unused = llvm.sub %word, %bits : i64
    %mask = llvm.lshr %all, %unused : i64
    llvm.return %mask : i64
  }

  llvm.func @read(%uc: !llvm.ptr, %offset: i64, %size: i32, %user: !llvm.ptr) -> i64 {
    %false = llvm.mlir.constant(false) : i1
    %zero = llvm.mlir.constant(0 : i64) : i64
    %far = llvm.call @offset(%offset, %user) : (i64, !llvm.ptr) -> i64
    %inside = llvm.call @is_inside(%far, %user) : (i64, !llvm.ptr) -> i1
    llvm.cond_br %inside, ^load, ^outside
  ^load:
    llvm.call @note(%uc, %far, %size, %false, %user) : (!llvm.ptr, i64, i32, i1, !llvm.ptr) -> ()
    %place = llvm.call @place(%far, %user) : (i64, !llvm.ptr) -> !llvm.ptr
    %word = "llvm.load"(%place) <{alignment = 1 : i64, ordering = 0 : i64}> : (!llvm.ptr) -> i64
    %mask = llvm.call @mask(%size) : (i32) -> i64
    %value = llvm.and %word, %mask : i64
    llvm.return %value : i64
  ^outside:
    llvm.return %zero : i64
  }

  llvm.func @write(%uc: !llvm.ptr, %offset: i64, %size: i32, %value: i64, %user: !llvm.ptr) {
    %true = llvm.mlir.constant(true) : i1
    %all = llvm.mlir.constant(-1 : i64) : i64
    %far = llvm.call @offset(%offset, %user) : (i64, !llvm.ptr) -> i64
    %inside = llvm.call @is_inside(%far, %user) : (i64, !llvm.ptr) -> i1
    llvm.cond_br %inside, ^store, ^outside
  ^store:
    llvm.call @note(%uc, %far, %size, %true, %user) : (!llvm.ptr, i64, i32, i1, !llvm.ptr) -> ()
    %place = llvm.call @place(%far, %user) : (i64, !llvm.ptr) -> !llvm.ptr
    %word = "llvm.load"(%place) <{alignment = 1 : i64, ordering = 0 : i64}> : (!llvm.ptr) -> i64
    %mask = llvm.call @mask(%size) : (i32) -> i64
    %others = llvm.xor %mask, %all : i64
    %kept = llvm.and %word, %others : i64
    %new = llvm.and %value, %mask : i64
    %joined = llvm.or %kept, %new : i64
    "llvm.store"(%joined, %place) <{alignment = 1 : i64, ordering = 0 : i64}> : (i64, !llvm.ptr) -> ()
    llvm.return
  ^outside:
    llvm.return
  }

  // A hook on loads: the address is that of memory, whatever it is mapped as.
  llvm.func @loaded(%uc: !llvm.ptr, %kind: i32, %address: i64, %size: i32, %value: i64, %user: !llvm.ptr) -> i1 {
    %true = llvm.mlir.constant(true) : i1
    %false = llvm.mlir.constant(false) : i1
    %far = llvm.call @offset(%address, %user) : (i64, !llvm.ptr) -> i64
    llvm.call @note(%uc, %far, %size, %false, %user) : (!llvm.ptr, i64, i32, i1, !llvm.ptr) -> ()
    llvm.return %true : i1
  }

  // The bindings hand out only wrappers of compiled functions; this one tells the addresses themselves.
  llvm.func @addresses(%out: !llvm.ptr) {
    %read = llvm.mlir.addressof @read : !llvm.ptr
    %write = llvm.mlir.addressof @write : !llvm.ptr
    %second = llvm.getelementptr %out[1] : (!llvm.ptr) -> !llvm.ptr, i64
    llvm.store %read, %out : !llvm.ptr, !llvm.ptr
    llvm.store %write, %second : !llvm.ptr, !llvm.ptr
    %loaded = llvm.mlir.addressof @loaded : !llvm.ptr
    %third = llvm.getelementptr %out[2] : (!llvm.ptr) -> !llvm.ptr, i64
    llvm.store %loaded, %third : !llvm.ptr, !llvm.ptr
    llvm.return
  }
}
