// The callbacks that Unicorn calls often, compiled when a session opens: in Python each call would cost about a
// microsecond. Each gets the engine, and as its last argument a structure that `native.py` describes.
module {
  // { base: i64, counts: ptr, jumps: ptr, end: i64 }: two lists of one i64 per halfword from `base`, and where the block
  // before ended. A block adds 1 to `counts` at its first halfword and takes 1 off behind its last, so that the running
  // sum is how often each halfword was executed. One that does not begin where the block before ended was jumped to: it
  // adds 1 to `jumps` at that end.
  llvm.func @count_block(%uc: !llvm.ptr, %address: i64, %size: i32, %user: !llvm.ptr) {
    %one = llvm.mlir.constant(1 : i64) : i64
    %base = llvm.load %user : !llvm.ptr -> i64
    %counts_field = llvm.getelementptr %user[1] : (!llvm.ptr) -> !llvm.ptr, i64
    %counts = llvm.load %counts_field : !llvm.ptr -> !llvm.ptr
    %offset = llvm.sub %address, %base : i64
    %bytes = llvm.zext %size : i32 to i64
    %end = llvm.add %offset, %bytes : i64
    %first = llvm.lshr %offset, %one : i64
    %behind = llvm.lshr %end, %one : i64
    %first_slot = llvm.getelementptr %counts[%first] : (!llvm.ptr, i64) -> !llvm.ptr, i64
    %first_old = llvm.load %first_slot : !llvm.ptr -> i64
    %first_new = llvm.add %first_old, %one : i64
    llvm.store %first_new, %first_slot : i64, !llvm.ptr
    %behind_slot = llvm.getelementptr %counts[%behind] : (!llvm.ptr, i64) -> !llvm.ptr, i64
    %behind_old = llvm.load %behind_slot : !llvm.ptr -> i64
    %behind_new = llvm.sub %behind_old, %one : i64
    llvm.store %behind_new, %behind_slot : i64, !llvm.ptr
    %jumps_field = llvm.getelementptr %user[2] : (!llvm.ptr) -> !llvm.ptr, i64
    %jumps = llvm.load %jumps_field : !llvm.ptr -> !llvm.ptr
    %end_field = llvm.getelementptr %user[3] : (!llvm.ptr) -> !llvm.ptr, i64
    %before = llvm.load %end_field : !llvm.ptr -> i64
    %before_offset = llvm.sub %before, %base : i64
    %before_half = llvm.lshr %before_offset, %one : i64
    %jump_slot = llvm.getelementptr %jumps[%before_half] : (!llvm.ptr, i64) -> !llvm.ptr, i64
    %jump_old = llvm.load %jump_slot : !llvm.ptr -> i64
    %differs = llvm.icmp "ne" %before, %address : i64
    %jumped = llvm.zext %differs : i1 to i64
    %jump_new = llvm.add %jump_old, %jumped : i64
    llvm.store %jump_new, %jump_slot : i64, !llvm.ptr
    %ended = llvm.add %address, %bytes : i64
    llvm.store %ended, %end_field : i64, !llvm.ptr
    llvm.return
  }

  // { bytes: ptr, low: i64, high: i64, stop: ptr, strays: i64 }: one page of which only [low, high) exists.
  llvm.func internal @inside(%offset: i64, %size: i32, %edge: !llvm.ptr) -> i1 {
    %low_field = llvm.getelementptr %edge[1] : (!llvm.ptr) -> !llvm.ptr, i64
    %high_field = llvm.getelementptr %edge[2] : (!llvm.ptr) -> !llvm.ptr, i64
    %low = llvm.load %low_field : !llvm.ptr -> i64
    %high = llvm.load %high_field : !llvm.ptr -> i64
    %bytes = llvm.zext %size : i32 to i64
    %end = llvm.add %offset, %bytes : i64
    %above = llvm.icmp "sge" %offset, %low : i64
    %below = llvm.icmp "sle" %end, %high : i64
    %inside = llvm.and %above, %below : i1
    llvm.return %inside : i1
  }

  llvm.func internal @stray(%uc: !llvm.ptr, %edge: !llvm.ptr) {
    %one = llvm.mlir.constant(1 : i64) : i64
    %field = llvm.getelementptr %edge[4] : (!llvm.ptr) -> !llvm.ptr, i64
    %old = llvm.load %field : !llvm.ptr -> i64
    %new = llvm.add %old, %one : i64
    llvm.store %new, %field : i64, !llvm.ptr
    %stop_field = llvm.getelementptr %edge[3] : (!llvm.ptr) -> !llvm.ptr, i64
    %stop = llvm.load %stop_field : !llvm.ptr -> !llvm.ptr
    %status = llvm.call %stop(%uc) : !llvm.ptr, (!llvm.ptr) -> i32
    llvm.return
  }

  llvm.func internal @unused_bits(%size: i32) -> i64 {
    %bytes = llvm.zext %size : i32 to i64
    %three = llvm.mlir.constant(3 : i64) : i64
    %word = llvm.mlir.constant(64 : i64) : i64
    %bits = llvm.shl %bytes, %three : i64
    %unused = llvm.sub %word, %bits : i64
    llvm.return %unused : i64
  }

  llvm.func @read_edge(%uc: !llvm.ptr, %offset: i64, %size: i32, %edge: !llvm.ptr) -> i64 {
    %inside = llvm.call @inside(%offset, %size, %edge) : (i64, i32, !llvm.ptr) -> i1
    llvm.cond_br %inside, ^load, ^over
  ^over:
    // the end of the bytes within the value: the second half of a load at an address that is no multiple of its size?
    %low_field = llvm.getelementptr %edge[1] : (!llvm.ptr) -> !llvm.ptr, i64
    %high_field = llvm.getelementptr %edge[2] : (!llvm.ptr) -> !llvm.ptr, i64
    %low = llvm.load %low_field : !llvm.ptr -> i64
    %high = llvm.load %high_field : !llvm.ptr -> i64
    %begins = llvm.icmp "sge" %offset, %low : i64
    %within = llvm.icmp "slt" %offset, %high : i64
    %partly = llvm.and %begins, %within : i1
    llvm.cond_br %partly, ^half, ^miss
  ^half:
    %halves_field = llvm.getelementptr %edge[5] : (!llvm.ptr) -> !llvm.ptr, i64
    %halves = llvm.load %halves_field : !llvm.ptr -> i64
    %one = llvm.mlir.constant(1 : i64) : i64
    %more = llvm.add %halves, %one : i64
    llvm.store %more, %halves_field : i64, !llvm.ptr
    llvm.br ^load
  ^load:
    %bytes = llvm.load %edge : !llvm.ptr -> !llvm.ptr
    %at = llvm.getelementptr %bytes[%offset] : (!llvm.ptr, i64) -> !llvm.ptr, i8
    %word = "llvm.load"(%at) <{alignment = 1 : i64, ordering = 0 : i64}> : (!llvm.ptr) -> i64
    %unused = llvm.call @unused_bits(%size) : (i32) -> i64
    %shifted = llvm.shl %word, %unused : i64
    %value = llvm.lshr %shifted, %unused : i64
    llvm.return %value : i64
  ^miss:
    llvm.call @stray(%uc, %edge) : (!llvm.ptr, !llvm.ptr) -> ()
    %zero = llvm.mlir.constant(0 : i64) : i64
    llvm.return %zero : i64
  }

  llvm.func @write_edge(%uc: !llvm.ptr, %offset: i64, %size: i32, %value: i64, %edge: !llvm.ptr) {
    %inside = llvm.call @inside(%offset, %size, %edge) : (i64, i32, !llvm.ptr) -> i1
    llvm.cond_br %inside, ^store, ^miss
  ^store:
    %ones = llvm.mlir.constant(-1 : i64) : i64
    %bytes = llvm.load %edge : !llvm.ptr -> !llvm.ptr
    %at = llvm.getelementptr %bytes[%offset] : (!llvm.ptr, i64) -> !llvm.ptr, i8
    %unused = llvm.call @unused_bits(%size) : (i32) -> i64
    %mask = llvm.lshr %ones, %unused : i64
    %others = llvm.xor %mask, %ones : i64
    %old = "llvm.load"(%at) <{alignment = 1 : i64, ordering = 0 : i64}> : (!llvm.ptr) -> i64
    %kept = llvm.and %old, %others : i64
    %put = llvm.and %value, %mask : i64
    %new = llvm.or %kept, %put : i64
    "llvm.store"(%new, %at) <{alignment = 1 : i64, ordering = 0 : i64}> : (i64, !llvm.ptr) -> ()
    llvm.return
  ^miss:
    llvm.call @stray(%uc, %edge) : (!llvm.ptr, !llvm.ptr) -> ()
    llvm.return
  }

  // The bindings hand out only wrappers of compiled functions; this one tells the addresses themselves.
  llvm.func @addresses(%out: !llvm.ptr) {
    %count_block = llvm.mlir.addressof @count_block : !llvm.ptr
    %read_edge = llvm.mlir.addressof @read_edge : !llvm.ptr
    %write_edge = llvm.mlir.addressof @write_edge : !llvm.ptr
    %second = llvm.getelementptr %out[1] : (!llvm.ptr) -> !llvm.ptr, i64
    %third = llvm.getelementptr %out[2] : (!llvm.ptr) -> !llvm.ptr, i64
    llvm.store %count_block, %out : !llvm.ptr, !llvm.ptr
    llvm.store %read_edge, %second : !llvm.ptr, !llvm.ptr
    llvm.store %write_edge, %third : !llvm.ptr, !llvm.ptr
    llvm.return
  }
}
