func.func @main(%x: tensor<16xi8>) -> tensor<16xi16> {
  %t = arith.constant dense<[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]> : tensor<16xi16>
  %e = tensor.empty() : tensor<16xi16>
  %y = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} ins(%x : tensor<16xi8>) outs(%e : tensor<16xi16>) {
  ^bb0(%a: i8, %b: i16):
    %c = arith.constant 8 : i8
    %s = arith.addi %a, %c : i8
    %i = arith.index_cast %s : i8 to index
    %z = linalg.index 0 : index
    %k = arith.addi %i, %z : index
    %r = tensor.extract %t[%k] : tensor<16xi16>
    linalg.yield %r : i16
  } -> tensor<16xi16>
  return %y : tensor<16xi16>
}
